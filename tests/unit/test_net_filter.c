/* test_net_filter.c - the program on the tap, run on frames by a small machine of our own: what
 * passes, what doesn't, by each of its rows. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "bpf_machine.h"
#include "check.h"
#include "net/net.h"

enum { SIZE = 90 };

struct frame {
    uint8_t bytes[SIZE];
};

static struct cl_net net;
static struct cl_net_program program;

static void make(const char *const *opened, size_t count)
{
    const struct cl_strlist list = {cl_unconst((const void *)opened), count};
    struct cl_error err = {0};

    CHECK(cl_net_filter_make(&net, &list, &program, &err) == 0);
    CHECK(program.count <= CL_NET_MAX_INSNS);
}

/* Of the frame, most significant byte first. */
static int load(const void *data, uint32_t at, unsigned int size, uint32_t *ret)
{
    const struct frame *frame = data;

    if (at + size > SIZE)
        return -1;
    *ret = 0;
    for (unsigned int i = 0; i < size; i++)
        *ret = *ret << 8 | frame->bytes[at + i];
    return 0;
}

static int passes(const struct frame *frame)
{
    const struct bpf_program machine = {program.insns, program.count, load};
    uint32_t answer = 1;

    CHECK(bpf_run(&machine, frame, &answer) == 0);
    CHECK(answer == 0 || answer == UINT32_MAX);
    return answer != 0;
}

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };

static struct frame frame4(const char *to, uint8_t protocol, uint16_t from_port, uint16_t to_port)
{
    struct frame frame = {{0}};

    frame.bytes[12] = 0x08;
    frame.bytes[14] = 0x45;
    frame.bytes[20] = 0x40; /* don't fragment */
    frame.bytes[23] = protocol;
    CHECK(inet_pton(AF_INET, to, frame.bytes + 30) == 1);
    frame.bytes[34] = (uint8_t)(from_port >> 8);
    frame.bytes[35] = (uint8_t)from_port;
    frame.bytes[36] = (uint8_t)(to_port >> 8);
    frame.bytes[37] = (uint8_t)to_port;
    return frame;
}

static struct frame frame6(const char *to, uint8_t protocol, uint16_t from_port, uint16_t to_port)
{
    struct frame frame = {{0}};

    frame.bytes[12] = 0x86;
    frame.bytes[13] = 0xdd;
    frame.bytes[14] = 0x60;
    frame.bytes[20] = protocol;
    CHECK(inet_pton(AF_INET6, to, frame.bytes + 38) == 1);
    frame.bytes[54] = (uint8_t)(from_port >> 8);
    frame.bytes[55] = (uint8_t)from_port;
    frame.bytes[56] = (uint8_t)(to_port >> 8);
    frame.bytes[57] = (uint8_t)to_port;
    return frame;
}

static int tcp_passes(const char *to)
{
    const struct frame frame =
        strchr(to, ':') != NULL ? frame6(to, TCP, 1000, 80) : frame4(to, TCP, 1000, 80);

    return passes(&frame);
}

static void add_local(const char *text)
{
    struct cl_error err = {0};

    CHECK(cl_cidr_parse(text, &net.locals[net.local_count++], &err) == 0);
}

static void set_up(void)
{
    net = (struct cl_net){.has_v4 = 1, .has_v6 = 1, .resolver4 = {.family = 4}};
    add_local("10.9.0.1");
    add_local("10.20.0.0/16");
    add_local("2001:db9::5");
}

TEST(what_is_outside_passes)
{
    static const char *const outside[] = {
        "1.1.1.1",     "8.8.8.8",         "10.9.0.2",      "10.21.0.1",       "192.168.1.1",
        "169.253.0.1", "169.255.0.1",     "168.63.129.17", "223.255.255.255", "128.0.0.1",
        "126.0.0.1",   "100.100.100.201", "2001:db9::4",   "2606:4700::1111", "fd00:ec3::1",
        "fc00::1",     "fd20:cd::254",    "::2",           "::fffe:1.2.3.4",  "2001:db8:1::1"};

    set_up();
    make(NULL, 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(outside); i++)
        CHECK(tcp_passes(outside[i]));
}

TEST(what_is_closed_does_not)
{
    static const char *const closed[] = {"0.0.0.0",
                                         "0.1.2.3",
                                         "127.0.0.1",
                                         "127.255.255.255",
                                         "169.254.0.1",
                                         "169.254.169.254",
                                         "168.63.129.16",
                                         "100.100.100.200",
                                         "224.0.0.251",
                                         "239.1.1.1",
                                         "240.0.0.1",
                                         "255.255.255.255",
                                         "192.0.2.1",
                                         "192.0.2.3",
                                         "10.9.0.1",
                                         "10.20.0.0",
                                         "10.20.255.255",
                                         "::",
                                         "::1",
                                         "::ffff:10.9.0.2",
                                         "::ffff:127.0.0.1",
                                         "fe80::1",
                                         "febf::1",
                                         "fec0::1",
                                         "ff02::1",
                                         "ff0e::1",
                                         "fd00:ec2::254",
                                         "fd00:ec2:ffff::",
                                         "fd20:ce::254",
                                         "2001:db8::1",
                                         "2001:db9::5"};

    set_up();
    make(NULL, 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(closed); i++)
        CHECK(!tcp_passes(closed[i]));
}

TEST(what_the_policy_opens_is_open)
{
    static const char *const opened[] = {"169.254.169.254", "10.9.0.0/24", "fd00:ec2::/64", "::1"};

    set_up();
    make(opened, CL_ARRAY_SIZE(opened));
    CHECK(tcp_passes("169.254.169.254"));
    CHECK(!tcp_passes("169.254.169.253"));
    CHECK(tcp_passes("10.9.0.1"));
    CHECK(!tcp_passes("10.20.0.1"));
    CHECK(tcp_passes("fd00:ec2::254"));
    CHECK(!tcp_passes("fd00:ec2:0:1::254"));
    CHECK(tcp_passes("::1"));
    CHECK(!tcp_passes("::"));
    make((const char *const[]){"0.0.0.0/0"}, 1);
    CHECK(tcp_passes("127.0.0.1"));
    CHECK(!tcp_passes("::1"));
}

TEST(only_whole_plain_packets_of_known_transports_pass)
{
    struct frame frame;

    set_up();
    make(NULL, 0);
    frame = frame4("1.1.1.1", TCP, 1, 1);
    CHECK(passes(&frame));
    frame.bytes[14] = 0x46; /* options */
    CHECK(!passes(&frame));
    frame = frame4("1.1.1.1", TCP, 1, 1);
    frame.bytes[14] = 0x65; /* another version */
    CHECK(!passes(&frame));
    frame = frame4("1.1.1.1", TCP, 1, 1);
    frame.bytes[20] = 0x20; /* more fragments */
    CHECK(!passes(&frame));
    frame = frame4("1.1.1.1", TCP, 1, 1);
    frame.bytes[21] = 1; /* a later fragment */
    CHECK(!passes(&frame));
    frame = frame4("1.1.1.1", 132 /* SCTP */, 1, 1);
    CHECK(!passes(&frame));
    frame = frame6("2606::1", 44 /* fragment */, 1, 1);
    CHECK(!passes(&frame));
    frame = frame6("2606::1", 0 /* hop by hop */, 1, 1);
    CHECK(!passes(&frame));
    frame = frame4("1.1.1.1", TCP, 1, 1);
    frame.bytes[13] = 0x06; /* ARP */
    CHECK(!passes(&frame));
    frame.bytes[12] = 0x81; /* VLAN */
    frame.bytes[13] = 0x00;
    CHECK(!passes(&frame));
}

TEST(of_icmp_only_echo_requests_pass)
{
    struct frame frame;

    set_up();
    make(NULL, 0);
    for (unsigned int type = 0; type < 256; type++) {
        frame = frame4("1.1.1.1", ICMP, (uint16_t)(type << 8), 0);
        CHECK(passes(&frame) == (type == 8));
        frame = frame6("2606::1", ICMP6, (uint16_t)(type << 8), 0);
        CHECK(passes(&frame) == (type == 128));
    }
    frame = frame4("169.254.169.254", ICMP, 8 << 8, 0);
    CHECK(!passes(&frame));
}

TEST(udp_comes_from_a_port_that_nobody_serves)
{
    struct frame frame;

    set_up();
    make(NULL, 0);
    frame = frame4("1.1.1.1", UDP, 32767, 53);
    CHECK(!passes(&frame));
    frame = frame4("1.1.1.1", UDP, 32768, 53);
    CHECK(passes(&frame));
    frame = frame6("2606::1", UDP, 53, 53);
    CHECK(!passes(&frame));
    frame = frame6("2606::1", UDP, 60999, 53);
    CHECK(passes(&frame));
}

TEST(the_resolvers_address_is_open_for_names_alone)
{
    struct frame frame;

    set_up();
    make(NULL, 0);
    frame = frame4(CL_NET_DNS4, UDP, 40000, 53);
    CHECK(passes(&frame));
    frame = frame4(CL_NET_DNS4, TCP, 40000, 53);
    CHECK(passes(&frame));
    frame = frame4(CL_NET_DNS4, TCP, 53, 80);
    CHECK(!passes(&frame));
    frame = frame4(CL_NET_DNS4, ICMP, 8 << 8, 53);
    CHECK(!passes(&frame));
    frame = frame6(CL_NET_DNS6, UDP, 40000, 53); /* the host has no such resolver */
    CHECK(!passes(&frame));
    net.resolver6.family = 6;
    make(NULL, 0);
    frame = frame6(CL_NET_DNS6, UDP, 40000, 53);
    CHECK(passes(&frame));
    frame = frame6(CL_NET_DNS6, UDP, 40000, 54);
    CHECK(!passes(&frame));
}

TEST(too_many_addresses_are_refused)
{
    static const char *opened[500];
    struct cl_error err = {0};
    const struct cl_strlist list = {opened, CL_ARRAY_SIZE(opened)};

    for (size_t i = 0; i < CL_ARRAY_SIZE(opened); i++)
        opened[i] = "2606:4700:4700::1111";
    set_up();
    CHECK(cl_net_filter_make(&net, &list, &program, &err) == -E2BIG);
    CHECK_HAS(err.msg, "too many addresses");
    opened[0] = "nonsense";
    CHECK(cl_net_filter_make(&net, &list, &program, &err) == -EINVAL);
}

TEST(all_the_hosts_addresses_that_are_kept_fit)
{
    set_up();
    while (net.local_count < CL_NET_MAX_LOCALS) {
        add_local("2606:4700::1");
        net.locals[net.local_count - 1].address[15] = (uint8_t)net.local_count;
    }
    make(NULL, 0);
    CHECK(!tcp_passes("2606:4700::20"));
    CHECK(tcp_passes("2606:4701::20"));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_outside_passes),
        ROW(what_is_closed_does_not),
        ROW(what_the_policy_opens_is_open),
        ROW(only_whole_plain_packets_of_known_transports_pass),
        ROW(of_icmp_only_echo_requests_pass),
        ROW(udp_comes_from_a_port_that_nobody_serves),
        ROW(the_resolvers_address_is_open_for_names_alone),
        ROW(too_many_addresses_are_refused),
        ROW(all_the_hosts_addresses_that_are_kept_fit),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
