/* test_net.c - addresses as people write them, the host's resolvers, and answers of rtnetlink. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "check.h"
#include "net/net.h"

TEST(addresses_are_parsed_and_printed)
{
    static const char *const right[] = {
        "10.0.0.0/8",  "1.2.3.4", "0.0.0.0/0",   "::/0",      "2001:db8::/32",
        "2001:db8::1", "::1",     "10.1.2.4/30", "fe80::/10", "255.255.255.255"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(right); i++) {
        struct cl_error err = {0};
        struct cl_cidr cidr;
        char text[CL_CIDR_TEXT_SIZE];

        CHECK(cl_cidr_parse(right[i], &cidr, &err) == 0);
        cl_cidr_print(&cidr, text);
        CHECK_TEXT(text, right[i]);
    }
}

TEST(what_is_no_address_is_refused)
{
    static const char *const wrong[] = {
        "",
        "/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0",
        "010.0.0.1",
        "10.0.0.1/8",
        "::1/64",
        "::/129",
        "fe80::1%eth0",
        "example.com",
        "10.0.0.0 /8",
        " 10.0.0.0/8",
        "10.0.0.0/8 ",
        "1.2.3.4:80",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
    struct cl_cidr cidr = {.family = 9};

    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        struct cl_error err = {0};

        CHECK(cl_cidr_parse(wrong[i], &cidr, &err) == -EINVAL);
        CHECK(err.msg[0] != '\0');
    }
    CHECK(cidr.family == 9); /* untouched */
}

TEST(the_first_resolver_of_each_family_is_taken)
{
    struct cl_net net = {0};
    char text[CL_CIDR_TEXT_SIZE];

    cl_net_take_resolvers(&net, "# nameserver 9.9.9.9\n"
                                "search example.com\n"
                                "nameserver10.0.0.9\n"
                                "nameserver\n"
                                "nameserver fe80::1%eth0\n"
                                "nameserver 10.0.0.0/8\n"
                                "nameserver\t 127.0.0.53 # stub\n"
                                "nameserver 2001:db9::53\r\n"
                                "nameserver 1.1.1.1");
    cl_cidr_print(&net.resolver4, text);
    CHECK_TEXT(text, "127.0.0.53");
    cl_cidr_print(&net.resolver6, text);
    CHECK_TEXT(text, "2001:db9::53");
    net = (struct cl_net){0};
    cl_net_take_resolvers(&net, "nameserver 1.1.1.1");
    CHECK(net.resolver4.family == 4 && net.resolver6.family == 0);
}

/* One message: a route of TYPE to DESTINATION. */
struct answer {
    _Alignas(8) uint8_t bytes[512];
    size_t size;
};

static void add_route(struct answer *answer, uint8_t type, const char *destination, uint8_t length)
{
    const int family = strchr(destination, ':') != NULL ? AF_INET6 : AF_INET;
    const size_t bytes = family == AF_INET6 ? 16 : 4;
    struct nlmsghdr *header = (void *)(answer->bytes + answer->size);
    struct rtmsg *route = NLMSG_DATA(header);
    struct rtattr *attribute = (void *)((char *)route + NLMSG_ALIGN(sizeof(*route)));

    *route = (struct rtmsg){.rtm_family = (uint8_t)family, .rtm_dst_len = length, .rtm_type = type};
    size_t size = NLMSG_LENGTH(sizeof(*route));
    if (length > 0) {
        attribute->rta_type = RTA_DST;
        attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
        CHECK(inet_pton(family, destination, RTA_DATA(attribute)) == 1);
        size += RTA_ALIGN(RTA_LENGTH(bytes));
    }
    *header = (struct nlmsghdr){.nlmsg_len = (uint32_t)size, .nlmsg_type = RTM_NEWROUTE};
    answer->size += NLMSG_ALIGN(size);
}

static void add_done(struct answer *answer)
{
    struct nlmsghdr *header = (void *)(answer->bytes + answer->size);

    *header = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(4), .nlmsg_type = NLMSG_DONE};
    answer->size += NLMSG_LENGTH(4);
}

TEST(local_routes_are_the_hosts_addresses)
{
    struct answer answer = {.size = 0};
    struct cl_net net = {0};
    char text[CL_CIDR_TEXT_SIZE];

    add_route(&answer, RTN_LOCAL, "10.1.2.3", 32);
    add_route(&answer, RTN_UNICAST, "10.1.2.0", 24);
    add_route(&answer, RTN_LOCAL, "10.1.2.3", 32); /* again: in two tables */
    add_route(&answer, RTN_LOCAL, "10.64.0.0", 16);
    add_route(&answer, RTN_BROADCAST, "10.1.2.255", 32);
    CHECK(cl_net_take_answer(&net, answer.bytes, answer.size) == 0);
    CHECK(net.local_count == 3 && !net.has_v4 && !net.has_v6);
    cl_cidr_print(&net.locals[1], text);
    CHECK_TEXT(text, "10.64.0.0/16");
    answer.size = 0;
    add_route(&answer, RTN_UNREACHABLE, "::", 0);
    CHECK(cl_net_take_answer(&net, answer.bytes, answer.size) == 0 && !net.has_v6);
    add_route(&answer, RTN_UNICAST, "::", 0);
    add_route(&answer, RTN_UNICAST, "0.0.0.0", 0);
    add_done(&answer);
    CHECK(cl_net_take_answer(&net, answer.bytes, answer.size) == 1);
    CHECK(net.has_v4 && net.has_v6 && net.local_count == 3);
}

TEST(answers_that_are_none_are_refused)
{
    struct answer answer = {.size = 0};
    struct cl_net net = {0};
    struct nlmsghdr *header = (void *)answer.bytes;
    struct rtmsg *route = NLMSG_DATA(header);

    add_route(&answer, RTN_LOCAL, "10.1.2.3", 32);
    for (size_t size = 1; size < answer.size; size++) /* cut: never read beyond */
        CHECK(cl_net_take_answer(&net, answer.bytes, size) <= 0);
    CHECK(net.local_count == 0);
    route->rtm_dst_len = 33;
    CHECK(cl_net_take_answer(&net, answer.bytes, answer.size) == -EBADMSG);
    route->rtm_dst_len = 32;
    header->nlmsg_flags = NLM_F_DUMP_INTR;
    CHECK(cl_net_take_answer(&net, answer.bytes, answer.size) == -EINTR);
    header->nlmsg_flags = 0;
    header->nlmsg_type = NLMSG_ERROR;
    CHECK(cl_net_take_answer(&net, answer.bytes, answer.size) < 0);
    header->nlmsg_type = RTM_NEWROUTE;
    header->nlmsg_len = NLMSG_LENGTH(sizeof(*route)); /* the address is missing */
    CHECK(cl_net_take_answer(&net, answer.bytes, header->nlmsg_len) == -EBADMSG);
}

TEST(more_addresses_than_are_kept_are_told)
{
    struct cl_net net = {0};

    for (unsigned int i = 0; i <= CL_NET_MAX_LOCALS; i++) {
        struct answer answer = {.size = 0};
        char text[CL_CIDR_TEXT_SIZE];

        (void)snprintf(text, sizeof(text), "10.1.%u.%u", i / 256, i % 256);
        add_route(&answer, RTN_LOCAL, text, 32);
        CHECK(cl_net_take_answer(&net, answer.bytes, answer.size) ==
              (i < CL_NET_MAX_LOCALS ? 0 : -E2BIG));
    }
}

TEST(this_hosts_routes_are_read)
{
    struct cl_net net = {0};
    struct cl_error err = {0};

    CHECK(cl_net_read_routes(&net, &err) == 0);
    CHECK(cl_net_read_resolvers(&net, &err) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(addresses_are_parsed_and_printed),
        ROW(what_is_no_address_is_refused),
        ROW(the_first_resolver_of_each_family_is_taken),
        ROW(local_routes_are_the_hosts_addresses),
        ROW(answers_that_are_none_are_refused),
        ROW(more_addresses_than_are_kept_are_told),
        ROW(this_hosts_routes_are_read),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
