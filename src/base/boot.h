/* boot.h - which boot of the machine this is.
 *
 * What was written in this boot and not synced is whole as long as the boot lasts: a crash of the
 * machine is another boot. Source: random(4), boot_id. */
#ifndef CL_BASE_BOOT_H
#define CL_BASE_BOOT_H

#include "base/error.h"

enum { CL_BOOT_ID_SIZE = 37 };

/* This boot's id, as a text of 36 bytes. */
int cl_boot_id(char ret[CL_BOOT_ID_SIZE], struct cl_error *err);

#endif
