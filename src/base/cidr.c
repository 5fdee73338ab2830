#include "base/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

static int has_host_bits(const struct cl_cidr *cidr)
{
    const unsigned int bits = cidr->family == 4 ? 32 : 128;

    for (unsigned int bit = cidr->length; bit < bits; bit++) {
        if ((cidr->address[bit / 8] & (0x80U >> bit % 8)) != 0)
            return 1;
    }
    return 0;
}

static int parse_length(const char *text, uint8_t most, uint8_t *ret)
{
    uint64_t length;

    if (cl_parse_u64(text, &length) < 0 || length > most)
        return -EINVAL;
    *ret = (uint8_t)length;
    return 0;
}

int cl_cidr_parse(const char *text, struct cl_cidr *ret, struct cl_error *err)
{
    const size_t size = strcspn(text, "/");
    struct cl_cidr cidr = {0};
    char address[INET6_ADDRSTRLEN];
    int r = -EINVAL;

    if (size < sizeof(address)) {
        memcpy(address, text, size);
        address[size] = '\0';
        cidr.family = strchr(address, ':') != NULL ? 6 : 4;
        r = inet_pton(cidr.family == 6 ? AF_INET6 : AF_INET, address, cidr.address) == 1 ? 0
                                                                                         : -EINVAL;
    }
    cidr.length = cidr.family == 6 ? 128 : 32;
    if (r == 0 && text[size] == '/')
        r = parse_length(text + size + 1, cidr.length, &cidr.length);
    if (r < 0)
        return cl_refuse(err, EINVAL,
                         "\"%.80s\" is no address and no network like 10.0.0.0/8 or 2001:db8::/32",
                         text);
    if (has_host_bits(&cidr))
        return cl_refuse(err, EINVAL, "\"%.80s\" has bits beyond its first %u", text, cidr.length);
    *ret = cidr;
    return 0;
}

void cl_cidr_print(const struct cl_cidr *cidr, char ret[CL_CIDR_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(cidr->family == 6 ? AF_INET6 : AF_INET, cidr->address, address,
                    sizeof(address)); /* can't fail: there is room */
    if (cidr->length == (cidr->family == 6 ? 128 : 32))
        (void)snprintf(ret, CL_CIDR_TEXT_SIZE, "%s", address);
    else
        (void)snprintf(ret, CL_CIDR_TEXT_SIZE, "%s/%u", address, cidr->length);
}
