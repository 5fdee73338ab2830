/* cidr.h - addresses of a network, as people write them: "10.0.0.0/8", "2001:db8::1". */
#ifndef CL_BASE_CIDR_H
#define CL_BASE_CIDR_H

#include <stdint.h>

#include "base/error.h"

enum { CL_CIDR_TEXT_SIZE = 64 };

struct cl_cidr {
    uint8_t family; /* 4 or 6; 0: none */
    uint8_t length; /* bits that are the network's */
    uint8_t address[16];
};

/* An address alone is all of its bits. Refuses bits that are set beyond the length. */
int cl_cidr_parse(const char *text, struct cl_cidr *ret, struct cl_error *err);
/* As people write it. */
void cl_cidr_print(const struct cl_cidr *cidr, char ret[CL_CIDR_TEXT_SIZE]);

#endif
