/* Drives an emulated implant from C, written from docs/air-frame.md alone; no library but libc.
 * It knows the sealing "crc" only, on plain sockets of this machine: no CURVE, no AEAD, so it protects nobody. A client
 * for a link that leaves the machine needs libzmq with CURVE and ChaCha20-Poly1305 (RFC 8439), as that page says.
 *
 *   cc -O2 -Wall -o air_client examples/air_client.c
 *   prosthesis sim utah96 --air bench_crc        (in another terminal)
 *   ./air_client 5700                            drives electrodes 0 to 95 in turn for three seconds
 *   ./air_client --vector                        prints the "crc" packets of docs/air-vectors.json
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATTERN = 1, COMMAND = 2, REPLY = 3, RECEIPT = 4, TELEMETRY = 5, STOP = 6 };
enum { CONFIGURE = 1, ARM = 2, CLOCK = 5, OFFSET = 6 };
enum { HEADER = 32, TAG = 16, OVERHEAD = HEADER + TAG + 4, LONGEST = 8192 };
enum { N = 96, BITS = 8, TILE = 64, LSB_NA = 1000, WIDTH_US = 170, GAP_US = 60, SLOT_US = 453, SLOTS = 7 };
typedef uint8_t u8;

/* little-endian numbers */

static u8 *put(u8 *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *to++ = (u8)(value >> 8 * i);
    return to;
}

static uint64_t get(const u8 *from, int bytes) {
    uint64_t value = 0;
    for (int i = bytes; i--;) value = value << 8 | from[i];
    return value;
}

static uint32_t crc32_of(const u8 *data, size_t n) {
    uint32_t crc = ~0u;
    while (n--) {
        crc ^= *data++;
        for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* SHA-256 (FIPS 180-4), for the profile */

static uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t root_bits(uint32_t prime, int cube) { /* 32 bits of the fraction of its square or cube root */
    uint64_t low = 0, high = (uint64_t)64 << 32;
    while (high - low > 1) { /* the largest r with (r / 2^32)^k <= prime */
        uint64_t r = (low + high) / 2;
        unsigned __int128 power = (unsigned __int128)r * r >> 32;
        unsigned __int128 rest = (unsigned __int128)r * r & 0xFFFFFFFFu;
        int above;
        if (cube) {
            unsigned __int128 third = power * r + (rest * r >> 32);
            above = third > (unsigned __int128)prime << 64 || (third >> 64) >= prime;
        } else above = (power >> 32) >= prime;
        if (above) high = r; else low = r;
    }
    return (uint32_t)low;
}

static void sha256_first4(const u8 *data, size_t n, u8 out[4]) {
    static uint32_t k[64], start[8];
    if (!k[0])
        for (uint32_t prime = 2, i = 0; i < 64; prime++) {
            int is = 1;
            for (uint32_t d = 2; d * d <= prime; d++) is &= prime % d != 0;
            if (!is) continue;
            if (i < 8) start[i] = root_bits(prime, 0);
            k[i++] = root_bits(prime, 1);
        }
    uint32_t h[8];
    memcpy(h, start, sizeof h);
    size_t blocks = (n + 9 + 63) / 64;
    for (size_t b = 0; b < blocks; b++) {
        u8 block[64];
        for (int i = 0; i < 64; i++) {
            size_t at = 64 * b + i, left = 64 * blocks - 1 - at;
            block[i] = at < n ? data[at] : at == n ? 0x80 : left < 8 ? (u8)((uint64_t)n * 8 >> 8 * left) : 0;
        }
        uint32_t w[64], v[8];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
        for (int i = 16; i < 64; i++)
            w[i] = w[i - 16] + w[i - 7] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
                   (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 64; i++) {
            uint32_t one = v[7] + (turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25)) +
                           ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            uint32_t two = (turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22)) +
                           ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            memmove(v + 1, v, 7 * sizeof *v);
            v[4] += one;
            v[0] = one + two;
        }
        for (int i = 0; i < 8; i++) h[i] += v[i];
    }
    for (int i = 0; i < 4; i++) out[i] = (u8)(h[0] >> 8 * (3 - i));
}

/* packets, sealing "crc" */

typedef struct { uint32_t session, seq, profile; uint64_t t_ns; int type, ttl_ms, tile, tiles, flags; } Head;

static size_t seal(u8 *to, Head h, const u8 *payload, size_t n) {
    u8 *p = to;
    p = put(p, 0x5056, 2), p = put(p, 1, 1), p = put(p, h.type, 1), p = put(p, h.session, 4), p = put(p, h.seq, 4);
    p = put(p, h.t_ns, 8), p = put(p, h.ttl_ms, 2), p = put(p, n, 2), p = put(p, h.tile, 1), p = put(p, h.tiles, 1);
    p = put(p, h.flags, 1), p = put(p, 0, 1), p = put(p, h.profile, 4);
    if (n) memcpy(p, payload, n);
    memset(p + n, 0, TAG);
    p += n + TAG;
    return put(p, crc32_of(to, p - to), 4) - to;
}

/* Append `bits` of value, most significant first, at bit `at` of zeroed memory. */
static size_t put_bits(u8 *to, size_t at, uint32_t value, int bits) {
    for (int i = bits; i--; at++) to[at / 8] |= (value >> i & 1) << (7 - at % 8);
    return at;
}

static size_t seal_pattern(u8 *to, Head h, const uint16_t *codes, int n, int bits, int tile) {
    size_t length = 0;
    int index_bits = 0;
    while ((tile - 1) >> index_bits) index_bits++;
    h.tiles = (n + tile - 1) / tile;
    for (h.tile = 0; h.tile < h.tiles; h.tile++) {
        u8 dense[LONGEST] = {0}, sparse[LONGEST] = {0};
        size_t d = 0, s = 0;
        for (int i = 0; i < tile; i++) {
            int at = h.tile * tile + i;
            uint32_t code = at < n ? codes[at] : 0;
            d = put_bits(dense, d, code, bits);
            if (code) s = put_bits(sparse, put_bits(sparse, s, i, index_bits), code, bits);
        }
        d = (d + 7) / 8, s = (s + 7) / 8;
        h.flags = s < d;
        length += seal(to + length, h, h.flags ? sparse : dense, h.flags ? s : d);
    }
    return length;
}

static size_t configuration(u8 *to, int n, int bits, int tile, int gap_us, int slot_us, int lsb, int slots) {
    u8 *p = to;
    p = put(p, 0, 1), p = put(p, bits, 1), p = put(p, tile, 2), p = put(p, gap_us, 2), p = put(p, slot_us, 2);
    p = put(p, lsb, 4), p = put(p, n, 2);
    for (int i = 0; i < n; i++) p = put(p, WIDTH_US, 2);
    for (int i = 0; i < n; i++) p = put(p, 0, 4);
    for (int i = 0; i < n; i++) p = put(p, 300000, 4);
    for (int i = 0; i < n; i++) p = put(p, i % slots, 1);
    return p - to;
}

static uint32_t profile_of(const u8 *body, size_t n) {
    u8 first[4];
    sha256_first4(body, n, first);
    return (uint32_t)get(first, 4);
}

/* sockets: ZMTP 3.0, NULL */

static void fail(const char *what) { fprintf(stderr, "air_client: %s\n", what); exit(1); }

static void write_all(int fd, const u8 *data, size_t n) {
    for (ssize_t done; n; data += done, n -= done)
        if ((done = write(fd, data, n)) <= 0) fail("the implant has closed the connection");
}

static void read_all(int fd, u8 *data, size_t n) {
    for (ssize_t done; n; data += done, n -= done)
        if ((done = read(fd, data, n)) <= 0) fail("the implant has closed the connection");
}

static void send_frame(int fd, int flags, const u8 *data, size_t n) {
    u8 head[9] = {(u8)(flags | (n > 255 ? 2 : 0)), (u8)n};
    if (n > 255) for (int i = 0; i < 8; i++) head[1 + i] = (u8)((uint64_t)n >> 8 * (7 - i));
    write_all(fd, head, n > 255 ? 9 : 2);
    write_all(fd, data, n);
}

/* Read one frame and return its length; -1 for a command, of which PING is answered. */
static long read_frame(int fd, u8 *data) {
    u8 flags, size[8] = {0};
    read_all(fd, &flags, 1);
    read_all(fd, flags & 2 ? size : size + 7, flags & 2 ? 8 : 1);
    size_t n = 0;
    for (int i = 0; i < 8; i++) n = n << 8 | size[i];
    if (n > LONGEST) fail("a frame is too long");
    read_all(fd, data, n);
    if (!(flags & 4)) return (long)n;
    if (n >= 7 && !memcmp(data, "\4PING", 5)) {
        u8 pong[LONGEST] = "\4PONG";
        memcpy(pong + 5, data + 7, n - 7);
        send_frame(fd, 4, pong, n - 2);
    }
    return -1;
}

static int dial(int port, const char *type) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&where, sizeof where)) fail("nobody listens; start 'prosthesis sim'");
    u8 greeting[64] = {0xFF, [9] = 0x7F, [10] = 3, [12] = 'N', 'U', 'L', 'L'}, theirs[LONGEST];
    write_all(fd, greeting, 64);
    read_all(fd, theirs, 64);
    if (memcmp(theirs + 12, "NULL", 5)) fail("the implant wants CURVE; start it with --air bench_crc");
    u8 ready[64] = "\5READY\13Socket-Type\0\0\0";
    size_t n = 6 + 12 + 3;
    ready[n++] = (u8)strlen(type);
    memcpy(ready + n, type, strlen(type));
    send_frame(fd, 4, ready, n + strlen(type));
    read_frame(fd, theirs);
    if (!strcmp(type, "SUB")) send_frame(fd, 0, (const u8 *)"\1", 1);
    return fd;
}

/* the client */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static const u8 *ask(int fd, u8 *answer, const u8 *packet, size_t n, size_t skip) {
    static uint32_t number;
    u8 message[LONGEST];
    memcpy(put(message, ++number, 4), packet, n);
    send_frame(fd, 0, message, n + 4);
    for (;;) {
        long length = read_frame(fd, answer);
        if (length < 0 || get(answer, 4) != number) continue;
        const u8 *reply = answer + 4 + skip;
        size_t left = length - 4 - skip;
        if (length < (long)(4 + skip + OVERHEAD + 14)) fail("no answer that can be read");
        if (get(reply + left - 4, 4) != crc32_of(reply, left - 4) || reply[3] != REPLY) fail("a reply is broken");
        return reply + HEADER;
    }
}

static const u8 *command(int fd, uint32_t session, int kind, const u8 *body, size_t n, u8 *answer) {
    static uint32_t seq;
    u8 payload[LONGEST] = {(u8)kind}, packet[LONGEST];
    if (n) memcpy(payload + 1, body, n);
    Head h = {.session = session, .seq = ++seq, .t_ns = now_ns(), .type = COMMAND, .tiles = 1};
    const u8 *reply = ask(fd, answer, packet, seal(packet, h, payload, n + 1), 0);
    printf("command %d: refusal %d, state %d\n", kind, reply[0], reply[1]);
    if (reply[0]) fail("the implant refuses");
    return reply;
}

static void vector(void) {
    static const uint16_t codes[32] = {1023, 0, 1, 512, 3, 300, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310,
                                       0, 5, [31] = 1000};
    u8 body[LONGEST], message[LONGEST];
    size_t n = configuration(body, 32, 10, 16, 60, 450, 100, 4);
    Head h = {.session = 0x01020304, .seq = 7, .t_ns = 1234567890123u, .ttl_ms = 100, .type = PATTERN};
    h.profile = profile_of(body, n);
    n = seal_pattern(message, h, codes, 32, 10, 16);
    for (size_t i = 0; i < n; i++) printf("%02x", message[i]);
    puts("");
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--vector")) return vector(), 0;
    int port = argc > 1 ? atoi(argv[1]) : 5700;
    int patterns = dial(port, "PUSH"), commands = dial(port + 1, "DEALER"), uplink = dial(port + 2, "SUB");
    uint32_t session = (uint32_t)now_ns();
    u8 open[76] = "PVOPEN1", answer[LONGEST], body[LONGEST], message[LONGEST];
    put(open + 8, session, 4);
    const u8 *reply = ask(commands, answer, open, sizeof open, 32);
    printf("session open, %u electrodes\n", (unsigned)get(reply + 10, 4));
    if (get(reply + 10, 4) != N) fail("this client is for 96 electrodes");
    uint64_t before = now_ns();
    reply = command(commands, session, CLOCK, NULL, 0, answer);
    put(body, get(reply + 2, 8) - (before + now_ns()) / 2, 8);
    command(commands, session, OFFSET, body, 8, answer);
    size_t n = configuration(body, N, BITS, TILE, GAP_US, SLOT_US, LSB_NA, SLOTS);
    uint32_t profile = profile_of(body, n);
    command(commands, session, CONFIGURE, body, n, answer);
    uint64_t charge_pc = 0, next_ns = now_ns(), accepted = 0;
    struct pollfd ears[3] = {{patterns, POLLIN, 0}, {commands, POLLIN, 0}, {uplink, POLLIN, 0}};
    for (uint32_t seq = 0; seq < N;) {
        if (now_ns() >= next_ns) {
            uint16_t codes[N] = {0};
            codes[seq] = 60; /* 60 uA */
            Head h = {.session = session, .seq = ++seq, .t_ns = now_ns(), .ttl_ms = 100, .type = PATTERN};
            h.profile = profile;
            send_frame(patterns, 0, message, seal_pattern(message, h, codes, N, BITS, TILE));
            next_ns += 33333333;
            /* what somebody stopped wants ten valid frames first */
            if (seq == 12) command(commands, session, ARM, NULL, 0, answer);
        }
        poll(ears, 3, 5);
        for (int i = 0; i < 3; i++) {
            if (!(ears[i].revents & POLLIN)) continue;
            long length = read_frame(ears[i].fd, message);
            if (ears[i].fd != uplink || length < OVERHEAD) continue;
            const u8 *said = message + HEADER;
            if (message[3] == RECEIPT)
                for (int e = 0; e < N; e++) charge_pc += get(said + 12 + 4 * e, 4);
            if (message[3] == TELEMETRY) accepted = get(said + 17, 8);
        }
    }
    Head stop = {.type = STOP, .session = session, .tiles = 1};
    send_frame(patterns, 0, message, seal(message, stop, NULL, 0));
    printf("%llu tiles accepted, %llu pC delivered\n", (unsigned long long)accepted, (unsigned long long)charge_pc);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    return 0;
}
