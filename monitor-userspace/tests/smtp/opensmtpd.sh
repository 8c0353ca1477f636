# Starts OpenSMTPD from unpacked packages: its users, helpers and spool exist in a mount namespace of its own only.
# Called by `unshare --mount sh opensmtpd.sh PACKAGES FOLDER`; FOLDER holds smtpd.conf.
set -e
packages=$1
folder=$2
mount --make-rprivate /
for name in passwd group; do cp "/etc/$name" "$folder/$name"; done
for user in opensmtpd:64990 opensmtpq:64991; do
    id=${user#*:}
    echo "${user%:*}:x:$id:$id::/var/lib/opensmtpd/empty:/bin/false" >>"$folder/passwd"
    echo "${user%:*}:x:$id:" >>"$folder/group"
done
for name in passwd group; do mount --bind "$folder/$name" "/etc/$name"; done
mount --bind "$packages/usr/libexec" /usr/libexec
for place in /var/lib /var/spool /run; do
    mount -t tmpfs none "$place"
    chmod 755 "$place"
done
mkdir -p /var/lib/opensmtpd/empty
mkdir -m 711 /var/spool/smtpd
exec "$packages/usr/sbin/smtpd" -d -f "$folder/smtpd.conf"
