/* The filter on the tap: which of the sandbox's frames pasta may read. See net.h.
 *
 * A frame passes when it is IPv4 without options or IPv6 without extension headers, no
 * fragment, TCP, UDP or an echo request, and its destination is not closed. So there is one
 * place for each header, and pasta, which reads fragments and options in ways of its own,
 * can't be shown another packet than the one that was judged. Entries are judged in this
 * order: the address for name service, what the policy opened, what is closed; the rest
 * passes.
 *
 * UDP's source port has to be of those that Linux chooses from (32768 on): pasta binds the
 * same port on the host and takes what comes there from anybody; nobody's service has its
 * port among them.
 *
 * Source: linux/filter.h, bpf(4); Documentation/networking/filter.rst.
 */
#include <errno.h>
#include <string.h>

#include "net/net.h"

enum {
    PASS = -1, /* all of the frame */
    DROP = 0,
    AT_TYPE = 12,
    AT_IP = 14,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    AT4_FRAGMENT = AT_IP + 6,
    AT4_PROTOCOL = AT_IP + 9,
    AT4_DESTINATION = AT_IP + 16,
    AT4_PORTS = AT_IP + 20,
    AT6_NEXT = AT_IP + 6,
    AT6_DESTINATION = AT_IP + 24,
    AT6_PORTS = AT_IP + 40,
    ICMP = 1,
    TCP = 6,
    UDP = 17,
    ICMPV6 = 58,
    ECHO = 8,
    ECHO6 = 128,
    PORT_LEAST = 32768,
    PORT_DNS = 53,
};

struct family {
    unsigned int destination;
    unsigned int protocol;
    unsigned int ports;
    unsigned int icmp;
    unsigned int echo;
};

static const struct family v4 = {AT4_DESTINATION, AT4_PROTOCOL, AT4_PORTS, ICMP, ECHO};
static const struct family v6 = {AT6_DESTINATION, AT6_NEXT, AT6_PORTS, ICMPV6, ECHO6};

/* Past the end nothing is added and the count goes on, so that one look at the end tells. */
static size_t add(struct cl_net_program *program, struct sock_filter insn)
{
    if (program->count < CL_NET_MAX_INSNS)
        program->insns[program->count] = insn;
    return program->count++;
}

static void load(struct cl_net_program *program, unsigned int size, unsigned int at)
{
    (void)add(program, (struct sock_filter)BPF_STMT((uint16_t)(BPF_LD | size | BPF_ABS), at));
}

/* Jumps of YES and NO instructions. */
static size_t test(struct cl_net_program *program, unsigned int how, uint32_t value, int yes,
                   int no)
{
    return add(program, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | how | BPF_K), value,
                                                     (uint8_t)yes, (uint8_t)no));
}

static void end(struct cl_net_program *program, int verdict)
{
    (void)add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (uint32_t)verdict));
}

static uint32_t word_of(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Up to 4 tests that go on with what follows this entry when they fail, filled in by close_entry.
 */
struct entry {
    size_t tests[4];
    size_t count;
};

static void open_entry(struct cl_net_program *program, const struct cl_cidr *cidr,
                       struct entry *ret)
{
    const unsigned int at = cidr->family == 4 ? v4.destination : v6.destination;
    unsigned int left = cidr->length;

    ret->count = 0;
    for (unsigned int i = 0; left > 0; i++) {
        const unsigned int bits = left < 32 ? left : 32;

        load(program, BPF_W, at + 4 * i);
        if (bits < 32)
            (void)add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
                                                            ~(UINT32_MAX >> bits)));
        ret->tests[ret->count++] =
            test(program, BPF_JEQ, word_of(cidr->address + (size_t)4 * i), 0, 0);
        left -= bits;
    }
}

static void close_entry(struct cl_net_program *program, const struct entry *entry)
{
    for (size_t i = 0; i < entry->count; i++) {
        if (entry->tests[i] < CL_NET_MAX_INSNS)
            program->insns[entry->tests[i]].jf = (uint8_t)(program->count - entry->tests[i] - 1);
    }
}

static void add_entry(struct cl_net_program *program, const struct cl_cidr *cidr, int verdict)
{
    struct entry entry;

    open_entry(program, cidr, &entry);
    end(program, verdict);
    close_entry(program, &entry);
}

/* Of this address port 53 alone, which pasta passes on to the host's resolver. */
static void add_resolver(struct cl_net_program *program, const char *address,
                         const struct family *family)
{
    struct cl_error unused;
    struct cl_cidr cidr;
    struct entry entry;
    int r = cl_cidr_parse(address, &cidr, &unused);

    CL_ASSERT(r == 0);
    open_entry(program, &cidr, &entry);
    load(program, BPF_B, family->protocol);
    (void)test(program, BPF_JEQ, family->icmp, 2, 0);
    load(program, BPF_H, family->ports + 2);
    (void)test(program, BPF_JEQ, PORT_DNS, 1, 0);
    end(program, DROP);
    end(program, PASS);
    close_entry(program, &entry);
}

/* What of the transports passes, wherever it goes. */
static void add_transports(struct cl_net_program *program, const struct family *family)
{
    load(program, BPF_B, family->protocol);
    (void)test(program, BPF_JEQ, TCP, 7, 0);
    (void)test(program, BPF_JEQ, family->icmp, 3, 0);
    (void)test(program, BPF_JEQ, UDP, 0, 4);
    load(program, BPF_H, family->ports);
    (void)test(program, BPF_JGE, PORT_LEAST, 3, 2);
    load(program, BPF_B, family->ports); /* ICMP's type is where ports begin */
    (void)test(program, BPF_JEQ, family->echo, 1, 0);
    end(program, DROP);
}

static int add_opened(struct cl_net_program *program, const struct cl_strlist *opened,
                      unsigned int family, struct cl_error *err)
{
    for (size_t i = 0; i < opened->count; i++) {
        struct cl_cidr cidr;
        int r = cl_cidr_parse(opened->items[i], &cidr, err);

        if (r < 0)
            return r;
        if (cidr.family == family)
            add_entry(program, &cidr, PASS);
    }
    return 0;
}

static void add_closed(struct cl_net_program *program, const struct cl_net *net,
                       unsigned int family)
{
    static const char *const closed[] = {
#define CL_NETWORK_CLOSED(prefix, why) prefix,
#include "policy/network.def"
#undef CL_NETWORK_CLOSED
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(closed); i++) {
        struct cl_error unused;
        struct cl_cidr cidr;
        int r = cl_cidr_parse(closed[i], &cidr, &unused);

        CL_ASSERT(r == 0);
        if (cidr.family == family)
            add_entry(program, &cidr, DROP);
    }
    for (size_t i = 0; i < net->local_count; i++) {
        if (net->locals[i].family == family)
            add_entry(program, &net->locals[i], DROP);
    }
}

static int add_destinations(struct cl_net_program *program, const struct cl_net *net,
                            const struct cl_strlist *opened, unsigned int family,
                            struct cl_error *err)
{
    if (family == 4 && net->resolver4.family != 0)
        add_resolver(program, CL_NET_DNS4, &v4);
    if (family == 6 && net->resolver6.family != 0)
        add_resolver(program, CL_NET_DNS6, &v6);
    int r = add_opened(program, opened, family, err);
    if (r < 0)
        return r;
    add_closed(program, net, family);
    end(program, PASS);
    return 0;
}

static void jump_to_here(struct cl_net_program *program, size_t from)
{
    if (from < CL_NET_MAX_INSNS)
        program->insns[from].k = (uint32_t)(program->count - from - 1);
}

int cl_net_filter_make(const struct cl_net *net, const struct cl_strlist *opened,
                       struct cl_net_program *ret, struct cl_error *err)
{
    ret->count = 0;
    load(ret, BPF_H, AT_TYPE);
    (void)test(ret, BPF_JEQ, TYPE_IPV4, 3, 0);
    (void)test(ret, BPF_JEQ, TYPE_IPV6, 1, 0);
    end(ret, DROP);
    const size_t to_v6 = add(ret, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));

    load(ret, BPF_B, AT_IP); /* the version, and a header of five words */
    (void)test(ret, BPF_JEQ, 0x45, 1, 0);
    end(ret, DROP);
    load(ret, BPF_H, AT4_FRAGMENT); /* more to come, or an offset */
    (void)test(ret, BPF_JSET, 0x3fff, 0, 1);
    end(ret, DROP);
    add_transports(ret, &v4);
    int r = add_destinations(ret, net, opened, 4, err);
    if (r < 0)
        return r;

    jump_to_here(ret, to_v6);
    add_transports(ret, &v6);
    r = add_destinations(ret, net, opened, 6, err);
    if (r < 0)
        return r;
    if (ret->count > CL_NET_MAX_INSNS)
        return cl_refuse(err, E2BIG,
                         "too many addresses for one filter: the host's own and network_reach's");
    return 0;
}
