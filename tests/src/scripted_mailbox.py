"""A POP3 server that is wrong in the ways that its script says; deletions count at QUIT."""

import json, socketserver, sys, threading, time

port, folder = sys.argv[1:]
script = json.load(open(folder + "/script.json"))
deleted, lock = set(), threading.Lock()


class Session(socketserver.StreamRequestHandler):
    def say(self, content):
        self.wfile.write(content if isinstance(content, bytes) else content.encode())

    def listing(self, here, word):
        lines = "".join(f"{number} {word(mail)}\r\n" for number, mail in enumerate(here, 1))
        self.say("+OK\r\n" + lines + ".\r\n")

    def retrieve(self, mail):
        content = open(f"{folder}/{mail['file']}", "rb").read()
        lines = content.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
        wire = b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines)
        manner = mail["manner"]
        if manner == "refused":
            return self.say("-ERR Message can not load\r\n")
        if manner == "chatty":
            return self.say("-ERR " + "x" * 5000 + "\r\n")
        if manner == "nonsense":
            return self.say(b"* BYE \xff\x00 this is not POP3\r\n")
        self.say("+OK\r\n")
        if manner == "cut":
            self.say(wire[:100])
            raise ConnectionError
        if manner == "no end":
            self.say(wire)
            time.sleep(3600)
        if manner == "endless":
            while True:
                self.say(b"x" * 65536)
        if manner == "bare dot":
            wire = b"Subject: x\r\n\r\n.\r\n" + wire
        self.say(wire + b".\r\n")

    def handle(self):
        with lock:
            here = [mail for mail in script["mails"] if mail["file"] not in deleted]
        marked = set()
        self.say("+OK scripted\r\n")
        for line in self.rfile:
            words = line.decode().split()
            command, mail = words[0], here[int(words[1]) - 1] if len(words) > 1 and words[0] in ("RETR", "DELE") else None
            with lock, open(folder + "/commands", "a") as commands:
                commands.write(command + " " + (mail["file"] if mail else "") + "\n")
            if command in script["refuses"]:
                self.say("-ERR unknown command\r\n")
            elif command == "UIDL":
                self.listing(here, lambda mail: mail["uid"])
            elif command == "LIST":
                self.listing(here, lambda mail: mail["size"])
            elif command == "RETR":
                self.retrieve(mail)
            else:
                if command == "DELE":
                    marked.add(mail["file"])
                if command == "QUIT":
                    with lock:
                        deleted.update(marked)
                    with open(folder + "/deleted", "a") as file:
                        file.writelines(name + "\n" for name in sorted(marked))
                self.say("+OK\r\n")
                if command == "QUIT":
                    return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_):
        pass


Server(("127.0.0.1", int(port)), Session).serve_forever()
