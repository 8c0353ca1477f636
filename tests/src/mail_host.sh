# Starts OpenSMTPD and Dovecot's pop3d from unpacked packages, over one set of Maildirs. Their users, libraries and spool
# exist in a mount namespace of its own only. Called by `unshare --mount sh mail_host.sh PACKAGES FOLDER`; FOLDER holds
# smtpd.conf and dovecot.conf.
set -e
packages=$1
folder=$2
mount --make-rprivate /
for name in passwd group; do cp "/etc/$name" "$folder/$name"; done
for user in opensmtpd:64990 opensmtpq:64991 dovecot:64992 dovenull:64993; do
    id=${user#*:}
    echo "${user%:*}:x:$id:$id::/var/lib/opensmtpd/empty:/bin/false" >>"$folder/passwd"
    echo "${user%:*}:x:$id:" >>"$folder/group"
done
for name in passwd group; do mount --bind "$folder/$name" "/etc/$name"; done
# OpenSMTPD asks for the names of its clients. In the lab nobody answers: let it hear that at once.
echo 'nameserver 127.0.0.1' >"$folder/resolv.conf"
mount --bind "$folder/resolv.conf" /etc/resolv.conf
# Both look for helpers and modules where the packages would have put them.
if [ "$packages" != / ]; then
    mount -t overlay overlay -o "lowerdir=/usr:$packages/usr" /usr
fi
for place in /var/lib /var/spool /run; do
    mount -t tmpfs none "$place"
    chmod 755 "$place"
done
mkdir -p /var/lib/opensmtpd/empty /run/dovecot /var/lib/dovecot
mkdir -m 711 /var/spool/smtpd
/usr/sbin/dovecot -F -c "$folder/dovecot.conf" &
dovecot=$!
trap 'kill $dovecot $smtpd; wait' TERM
/usr/sbin/smtpd -d -f "$folder/smtpd.conf" &
smtpd=$!
wait
