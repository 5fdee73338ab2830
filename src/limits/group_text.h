/* group_text.h - for the files group*.c only: the rows of policy/resources.def, and what is written
 * for a resource. Nothing is written here; what a value adds to is read where it has to be. */
#ifndef CL_LIMITS_GROUP_TEXT_H
#define CL_LIMITS_GROUP_TEXT_H

#include "limits/group_parts.h"

/* The table says what each means. */
enum cl_group_form {
    CL_FORM_BYTES,
    CL_FORM_SWAP,
    CL_FORM_NUMBER,
    CL_FORM_SHARES,
    CL_FORM_QUOTA,
    CL_FORM_PERIOD,
    CL_FORM_BURST,
    CL_FORM_TEXT,
    CL_FORM_WEIGHT,
    CL_FORM_DEVICE_WEIGHT,
    CL_FORM_RATE_READ_BYTES, /* the four together */
    CL_FORM_RATE_WRITE_BYTES,
    CL_FORM_RATE_READ_OPS,
    CL_FORM_RATE_WRITE_OPS,
    CL_FORM_PAGES,
    CL_FORM_CLASS,
    CL_FORM_PRIORITY,
    CL_FORM_RDMA,
    CL_FORM_FILE,
    CL_FORM_FLAG,
};

struct cl_group_row {
    const char *controller; /* v1 */
    const char *v1;
    const char *v2;
    enum cl_group_form form;
};
const struct cl_group_row *cl_group_row(enum cl_resource what);

/* The first of RESOURCES that is WHAT, or NULL. */
const struct cl_spec_resource *cl_group_item(const struct cl_spec_resources *resources,
                                             enum cl_resource what);

/* Whether ITEM is as if it weren't there, in any cgroup. */
int cl_group_is_unset(const struct cl_spec_resource *item);
/* Whether it asks for what a new cgroup has, and what a host has that lacks its file: no limit. */
int cl_group_is_free(const struct cl_spec_resource *item, int is_v2);

int cl_group_weight_of_shares(int64_t shares);
int cl_group_weight_of_io(int64_t weight);

struct cl_group_setting {
    int is_v2;
    const char *controller;
    const char *file; /* NULL: this layout has none */
    const char *text;
    char file_room[64];
    char text_room[96];
};

/* 1 and what to write for ITEM, one of RESOURCES; 0 where another of them does it; or -errno. */
int cl_group_setting(const struct cl_group *group, const struct cl_spec_resources *resources,
                     const struct cl_spec_resource *item, struct cl_group_setting *ret,
                     struct cl_error *err);
/* Where there is no such file: 1 and another that does it, or 0. */
int cl_group_other_setting(const struct cl_spec_resource *item, struct cl_group_setting *setting);

#endif
