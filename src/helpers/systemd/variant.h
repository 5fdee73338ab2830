/* variant.h - a value in GVariant's text form ("uint64 5", "'text'", "true", "['a', 'b']"), as
 * annotations org.systemd.property.NAME have it, and as a property of a unit.
 *
 * Taken: booleans, numbers without a fraction, strings, object paths, and arrays of these; each
 * with the type before it where it has to be said (a number without is an int32). Others are
 * refused. Source: GLib's "GVariant Text Format"; the D-Bus specification, "Type System".
 */
#ifndef CL_HELPERS_SYSTEMD_VARIANT_H
#define CL_HELPERS_SYSTEMD_VARIANT_H

#include "base/error.h"

enum { CL_VARIANT_ITEMS = 1024 };

struct cl_variant {
    char type; /* D-Bus: b y n q i u x t s o */
    int is_array;
    size_t count; /* 1 but for an array */
    struct cl_variant_item {
        uint64_t number;  /* of a signed type: its bits */
        const char *text; /* s, o */
    } items[CL_VARIANT_ITEMS];
};

/* TEXT is written over: RET's texts point into it. -EINVAL without a message. */
int cl_variant_parse(char *text, struct cl_variant *ret);

/* NAMESec with a number of seconds is NAMEUSec with microseconds: 1 and NAME is changed, which has
 * room for a byte more; 0 for another; or -EINVAL, -ERANGE. */
int cl_variant_of_seconds(char *name, struct cl_variant *variant);

#endif
