# Prints a message of SNMPv3 with a given PDU (RFC 3412, 3414, 3826, 7860), which no program of net-snmp would send:
# USER AUTH PRIVACY AUTH_PHRASE PRIVACY_PHRASE ENGINE BOOTS TIME PDU; the last and ENGINE are hexadecimal.
import hashlib, hmac, subprocess, sys

user, auth, privacy, auth_phrase, privacy_phrase, engine, boots, time, pdu = sys.argv[1:]
engine, boots, time, pdu = bytes.fromhex(engine.removeprefix("0x")), int(boots), int(time), bytes.fromhex(pdu)


def element(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def integer(value):
    return element(2, value.to_bytes(4, "big"))


def key(phrase):
    phrase = phrase.encode()
    digest = hashlib.new(auth, (phrase * (2**20 // len(phrase) + 1))[: 2**20]).digest()
    return hashlib.new(auth, digest + engine + digest).digest()


size = {"": 0, "sha1": 12, "sha256": 24}[auth]
flags = (1 if auth else 0) | (2 if privacy else 0) | (4 if pdu[0] == 0xA6 else 0)
data, salt = element(0x30, element(4, engine), element(4), pdu), b""
if privacy:
    salt = b"saltsalt"
    iv = boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt
    command = ["openssl", "enc", "-aes-128-cfb", "-K", key(privacy_phrase)[:16].hex(), "-iv", iv.hex()]
    data = element(4, subprocess.run(command, input=data, capture_output=True, check=True).stdout)


def message(digest):
    security = element(
        0x30, element(4, engine), integer(boots), integer(time), element(4, user.encode()), element(4, digest), element(4, salt)
    )
    # A msgMaxSize of 4 bytes without its leading zero.
    header = element(0x30, integer(77), element(2, b"\xff\xff\xff\xff"), element(4, bytes([flags])), integer(3))
    return element(0x30, integer(3), header, element(4, security), data)


whole = message(bytes(size))
if auth:
    whole = message(hmac.new(key(auth_phrase), whole, auth).digest()[:size])
print(whole.hex())
