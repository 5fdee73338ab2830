#include "helpers/fetch/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpsl.h>
#include <netinet/in.h>
#include <string.h>

/* --- addresses ------------------------------------------------------------- */

struct block4 {
    uint32_t prefix;
    unsigned int bits;
    enum cl_reach reach;
};

static const struct block4 blocks4[] = {
    {0x00000000, 8, CL_REACH_LOOPBACK}, /* "this network": Linux connects it to itself */
    {0x0a000000, 8, CL_REACH_PRIVATE},  /* RFC 1918 */
    {0x64400000, 10, CL_REACH_PRIVATE}, /* RFC 6598, behind a provider's NAT */
    {0x7f000000, 8, CL_REACH_LOOPBACK},
    {0xa9fe0000, 16, CL_REACH_LINK_LOCAL}, /* RFC 3927 */
    {0xa83f8110, 32, CL_REACH_LINK_LOCAL}, /* 168.63.129.16, public by number: Azure's metadata */
    {0xac100000, 12, CL_REACH_PRIVATE},
    {0xc0000000, 24, CL_REACH_PRIVATE}, /* RFC 6890: protocols' own */
    {0xc0a80000, 16, CL_REACH_PRIVATE},
    {0xc6120000, 15, CL_REACH_PRIVATE}, /* RFC 2544: benchmarks */
    {0xe0000000, 4, CL_REACH_NOWHERE},  /* multicast */
    {0xf0000000, 4, CL_REACH_NOWHERE},  /* reserved, and broadcast */
};

static enum cl_reach reach_of4(uint32_t address)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(blocks4); i++) {
        if ((address ^ blocks4[i].prefix) >> (32 - blocks4[i].bits) == 0)
            return blocks4[i].reach;
    }
    return CL_REACH_PUBLIC;
}

static uint32_t word_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The last 32 bits of IPv6 addresses that hold an IPv4 address: mapped (RFC 4291), compatible
 * (there too, "::1" and "::" excepted), NAT64 (RFC 6052). */
static int holds_address4(const unsigned char *bytes)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const unsigned char zeros[12];

    return memcmp(bytes, mapped, 12) == 0 || memcmp(bytes, nat64, 12) == 0 ||
           (memcmp(bytes, zeros, 12) == 0 && word_at(bytes + 12) > 1);
}

static enum cl_reach reach_of6(const unsigned char *bytes)
{
    if (holds_address4(bytes))
        return reach_of4(word_at(bytes + 12));
    if (bytes[0] == 0x20 && bytes[1] == 0x02) /* 6to4, RFC 3056 */
        return reach_of4(word_at(bytes + 2));
    if (word_at(bytes) == 0 && word_at(bytes + 4) == 0 && word_at(bytes + 8) == 0)
        return CL_REACH_LOOPBACK; /* "::1", and "::", which Linux takes for it */
    if (bytes[0] == 0xff)
        return CL_REACH_NOWHERE;
    if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
        return CL_REACH_LINK_LOCAL;
    if ((bytes[0] & 0xfe) == 0xfc || (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0xc0))
        return CL_REACH_PRIVATE; /* RFC 4193; site-local of old */
    if (word_at(bytes) == 0x0064ff9b && bytes[4] == 0 && bytes[5] == 1)
        return CL_REACH_PRIVATE; /* RFC 8215: a network's own NAT64 */
    return CL_REACH_PUBLIC;
}

enum cl_reach cl_reach_of(const struct sockaddr *address)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    switch (address->sa_family) {
    case AF_INET:
        memcpy(&in, address, sizeof(in));
        return reach_of4(ntohl(in.sin_addr.s_addr));
    case AF_INET6:
        memcpy(&in6, address, sizeof(in6));
        return reach_of6(in6.sin6_addr.s6_addr);
    default:
        return CL_REACH_NOWHERE;
    }
}

enum cl_reach cl_reach_of_text(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    struct in_addr in;
    struct in6_addr in6;
    const size_t size = strcspn(text, "%"); /* a zone follows */

    if (size >= sizeof(address))
        return CL_REACH_NOWHERE;
    memcpy(address, text, size);
    address[size] = '\0';
    if (inet_pton(AF_INET, address, &in) == 1)
        return reach_of4(ntohl(in.s_addr));
    return inet_pton(AF_INET6, address, &in6) == 1 ? reach_of6(in6.s6_addr) : CL_REACH_NOWHERE;
}

const char *cl_reach_name(enum cl_reach reach)
{
    static const char *const names[] = {"a public address", "a private address",
                                        "an address of this machine", "a link-local address",
                                        "an address that is no host's"};

    return names[reach];
}

int cl_reach_allows(enum cl_reach from, enum cl_reach to)
{
    switch (to) {
    case CL_REACH_PUBLIC:
        return 1;
    case CL_REACH_PRIVATE:
        return from == CL_REACH_PRIVATE || from == CL_REACH_LOOPBACK;
    case CL_REACH_LOOPBACK:
        return from == CL_REACH_LOOPBACK;
    case CL_REACH_LINK_LOCAL:
        return from == CL_REACH_LINK_LOCAL;
    case CL_REACH_NOWHERE:
        return 0;
    }
    return 0;
}

/* --- hosts ----------------------------------------------------------------- */

int cl_redirect_allowed(const struct cl_url *from, const struct cl_url *to, struct cl_error *err)
{
    if (from->tls && !to->tls)
        return cl_refuse(err, EPROTO, "%s redirects from https to plain http at %s: refused",
                         from->place, to->place);
    return 0;
}

static int is_address(const char *host)
{
    struct in_addr address;

    return host[0] == '[' || inet_pton(AF_INET, host, &address) == 1;
}

/* "a.example.org" and "b.example.org", but not "a.co.uk" and "b.co.uk". */
static int share_registrable_domain(const char *a, const char *b)
{
    const psl_ctx_t *list = psl_builtin();

    if (list == NULL || is_address(a) || is_address(b))
        return 0;
    const char *domain_a = psl_registrable_domain(list, a);
    const char *domain_b = psl_registrable_domain(list, b);
    return domain_a != NULL && domain_b != NULL && strcmp(domain_a, domain_b) == 0;
}

int cl_realm_may_know(const struct cl_url *endpoint, const struct cl_url *realm)
{
    const int same_host = strcmp(endpoint->host, realm->host) == 0;

    if (!realm->tls)
        return same_host && !endpoint->tls;
    return same_host || share_registrable_domain(endpoint->host, realm->host);
}
