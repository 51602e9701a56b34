/* The floor: as little as a server can do on Linux. One thread, epoll, one read and one write for each connection that
 * is ready in a turn. It speaks Socket.IO to the load generator and to nobody else: it checks nothing, it knows one
 * WebSocket key, it echoes, acknowledges and broadcasts, and a message that is larger than its buffer ends the
 * connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { IN_BYTES = 16384, EVENTS = 256, MOST = 100000, TEXT = 1, CLOSE = 8 };

typedef struct {
    int fd, upgraded, dirty;
    size_t have, size, room;
    unsigned char *out;
    unsigned char in[IN_BYTES];
} Conn;

static Conn *conns[MOST]; /* by descriptor */
static int dirty[MOST], dirties, highest;

static const char SWITCH[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: KF7zLT/5pSaZE88oDJQy+LetlvQ=\r\n\r\n";
static const char HELLO[] = "0{\"sid\":\"floor\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,"
                            "\"maxPayload\":1000000}";
static const char WELCOME[] = "40{\"sid\":\"floor\"}";
static const char ACK[] = "427[\"ack\",", ECHO[] = "42[\"echo\",", LOUD[] = "42[\"broadcast\",";
static const char LOUD_ACK[] = "427[\"broadcast\",";

static void mark(Conn *c) {
    if (!c->dirty) dirty[dirties++] = c->fd;
    c->dirty = 1;
}

static void put(Conn *c, const void *bytes, size_t size) {
    if (c->size + size > c->room) {
        c->room = (c->size + size) * 2;
        c->out = realloc(c->out, c->room);
    }
    memcpy(c->out + c->size, bytes, size);
    c->size += size;
    mark(c);
}

static void say(Conn *c, int opcode, const void *text, size_t size) {
    unsigned char head[4] = {0x80 | opcode, size > 125 ? 126 : size, size >> 8, size};
    put(c, head, size > 125 ? 4 : 2);
    put(c, text, size);
}

static void end(Conn *c) {
    conns[c->fd] = NULL;
    close(c->fd);
    free(c->out);
    free(c);
}

static void flush_all(void) {
    int count = dirties;
    dirties = 0;
    for (int i = 0; i < count; i++) {
        Conn *c = conns[dirty[i]];
        if (!c || !c->dirty) continue;
        c->dirty = 0;
        ssize_t sent = send(c->fd, c->out, c->size, MSG_NOSIGNAL);
        if (sent < 0) sent = 0;
        memmove(c->out, c->out + sent, c->size - sent);
        c->size -= sent;
        if (c->size) mark(c); /* the next turn tries again */
    }
}

static int begins(const char *text, size_t size, const char *with) {
    size_t length = strlen(with);
    return size >= length && !memcmp(text, with, length);
}

/* The event in a text that may carry an acknowledgement's number, to everybody. */
static void broadcast(const char *event, size_t size) {
    char text[IN_BYTES] = "42";
    memcpy(text + 2, event, size);
    for (int fd = 0; fd <= highest; fd++)
        if (conns[fd] && conns[fd]->upgraded) say(conns[fd], TEXT, text, size + 2);
}

static void told(Conn *c, const char *text, size_t size) {
    if (begins(text, size, ECHO)) {
        say(c, TEXT, text, size);
    } else if (begins(text, size, ACK)) {
        char answer[IN_BYTES] = "437[";
        size_t skip = strlen(ACK);
        memcpy(answer + 4, text + skip, size - skip);
        say(c, TEXT, answer, size - skip + 4);
    } else if (begins(text, size, LOUD)) {
        broadcast(text + 2, size - 2);
    } else if (begins(text, size, LOUD_ACK)) {
        broadcast(text + 3, size - 3);
        say(c, TEXT, "437[]", 5);
    } else if (begins(text, size, "40")) {
        say(c, TEXT, WELCOME, strlen(WELCOME));
    }
}

/* One client frame at the beginning of the buffer: how long it is, or 0 when it is not all there. */
static size_t frame(Conn *c, unsigned char *at, size_t have) {
    if (have < 6) return 0;
    size_t size = at[1] & 127, head = 2;
    if (size == 126) size = at[2] << 8 | at[3], head = 4;
    if (have < head + 4 + size) return 0;
    unsigned char *mask = at + head, *text = mask + 4;
    for (size_t i = 0; i < size; i++) text[i] ^= mask[i & 3];
    if ((at[0] & 15) == CLOSE)
        say(c, CLOSE, text, size);
    else
        told(c, (char *)text, size);
    return head + 4 + size;
}

static void readable(Conn *c) {
    ssize_t got = recv(c->fd, c->in + c->have, IN_BYTES - c->have, 0);
    if (got <= 0) {
        end(c);
        return;
    }
    c->have += got;
    size_t at = 0, length;
    if (!c->upgraded) {
        if (c->have < 4 || memcmp(c->in + c->have - 4, "\r\n\r\n", 4)) return;
        c->upgraded = 1;
        at = c->have;
        put(c, SWITCH, strlen(SWITCH));
        say(c, TEXT, HELLO, strlen(HELLO));
    }
    while ((length = frame(c, c->in + at, c->have - at))) at += length;
    memmove(c->in, c->in + at, c->have -= at);
}

static void accept_all(int listener, int epoll) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < MOST) {
        Conn *c = conns[fd] = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        c->fd = fd;
        if (fd > highest) highest = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int count_of_arguments, char **arguments) {
    if (count_of_arguments > 1 && !strcmp(arguments[1], "--version")) return puts("gcc " __VERSION__), 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    struct epoll_event ready[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    if (bind(listener, (void *)&address, size) || listen(listener, 4096)) return perror("listen"), 1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    getsockname(listener, (void *)&address, &size);
    printf("LISTENING %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll, ready, EVENTS, dirties ? 1 : -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener)
                accept_all(listener, epoll);
            else if (conns[fd])
                readable(conns[fd]);
        }
        flush_all();
    }
}
