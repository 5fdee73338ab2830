#include "helpers/common/report.h"

#include <string.h>

enum { SHOWN_NAME = 160 };

const char *cl_report_name(const char *name)
{
    size_t size = strlen(name);

    return size <= SHOWN_NAME ? name : name + size - SHOWN_NAME;
}
