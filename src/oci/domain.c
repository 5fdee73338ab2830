#include "oci/domain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "oci/quote.h"

enum { PORT_DIGITS = 5, PORT_MAX = 65535 };

/* A domain's two halves; the ends are not NULs. */
struct halves {
    const char *host;
    size_t host_size;
    const char *rest; /* ":PORT", or nothing */
    size_t rest_size;
};

static struct halves split(const char *text, size_t size)
{
    const char *end = NULL;

    if (size > 0 && text[0] == '[') {
        end = memchr(text, ']', size);
        end = end == NULL ? NULL : end + 1;
    } else {
        end = memchr(text, ':', size);
    }
    size_t host_size = end == NULL ? size : (size_t)(end - text);
    return (struct halves){text, host_size, text + host_size, size - host_size};
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Nothing is right too. */
static int is_port(const char *text, size_t size)
{
    char digits[PORT_DIGITS + 1] = "";
    uint64_t port = 0;

    if (size == 0)
        return 1;
    if (text[0] != ':' || size - 1 > PORT_DIGITS)
        return 0;
    memcpy(digits, text + 1, size - 1);
    return cl_parse_u64(digits, &port) == 0 && port >= 1 && port <= PORT_MAX;
}

/* Labels with dots between them; each begins and ends with a letter or a digit. */
static int is_name(const char *text, size_t size)
{
    char before = '.';

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (c != '.' && c != '-' && !is_alnum(c))
            return 0;
        if ((before == '.' && !is_alnum(c)) || (before == '-' && c == '.'))
            return 0;
        before = c;
    }
    return is_alnum(before);
}

/* TEXT begins with a bracket. */
static int is_bracketed_ipv6(const char *text, size_t size)
{
    char inner[INET6_ADDRSTRLEN] = "";
    struct in6_addr address;

    if (size < 2 || text[size - 1] != ']' || size - 2 >= sizeof(inner))
        return 0;
    memcpy(inner, text + 1, size - 2);
    return strchr(inner, '.') == NULL && inet_pton(AF_INET6, inner, &address) == 1;
}

int cl_domain_check(const char *text, size_t size, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];
    struct halves halves = split(text, size);

    const char *slash = memchr(text, '/', size);

    if (slash != NULL && slash != text && slash[-1] != ':')
        return cl_refuse(err, EINVAL, "a path follows the host; say \"%s\" alone",
                         cl_quote_part(text, (size_t)(slash - text), quoted));
    (void)cl_quote_part(halves.host, halves.host_size, quoted);
    if (size > 0 && text[0] == '[') {
        if (!is_bracketed_ipv6(halves.host, halves.host_size))
            return cl_refuse(err, EINVAL, "\"%s\" is no IPv6 address in brackets", quoted);
    } else if (!is_name(halves.host, halves.host_size)) {
        return cl_refuse(err, EINVAL, "\"%s\" is no host's name", quoted);
    }
    if (!is_port(halves.rest, halves.rest_size))
        return cl_refuse(err, EINVAL,
                         "the host is followed by \"%s\" and not by \":\" and a port from 1 to %d",
                         cl_quote_part(halves.rest, halves.rest_size, quoted), PORT_MAX);
    return 0;
}

int cl_domain_is_meant(const char *text, size_t size)
{
    if (size == strlen("localhost") && memcmp(text, "localhost", size) == 0)
        return 1;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' || text[i] == ':' || (text[i] >= 'A' && text[i] <= 'Z'))
            return 1;
    }
    return 0;
}

/* Takes one number of an IPv4 address from *TEXT: decimal, without leading zeros, which some
 * read as octal. -1: there is none. */
static int take_number(const char **text)
{
    const char *p = *text;
    int value = 0;

    if (!is_digit(*p) || (p[0] == '0' && is_digit(p[1])))
        return -1;
    for (; is_digit(*p) && value <= 255; p++)
        value = value * 10 + (*p - '0');
    *text = p;
    return value <= 255 ? value : -1;
}

static int is_loopback_ipv4(const char *text, size_t size)
{
    const char *const end = text + size;

    for (int i = 0; i < 4; i++) {
        int number = take_number(&text);

        if (number < 0 || (i == 0 && number != 127))
            return 0;
        if (i < 3 && *text++ != '.')
            return 0;
    }
    return text == end;
}

int cl_domain_is_loopback(const char *domain)
{
    struct halves halves = split(domain, strlen(domain));
    const char *host = halves.host;
    size_t size = halves.host_size;

    if (!is_port(halves.rest, halves.rest_size))
        return 0;
    /* Names of hosts have no case (RFC 4343). */
    return (size == strlen("localhost") && strncasecmp(host, "localhost", size) == 0) ||
           (size == strlen("[::1]") && memcmp(host, "[::1]", size) == 0) ||
           is_loopback_ipv4(host, size);
}
