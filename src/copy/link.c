#include "copy/link.h"

#include <string.h>

int cl_copy_link_stays(const char *target, size_t depth)
{
    size_t ups = 0;
    int is_down = 0;

    if (target[0] == '/' || target[0] == '\0')
        return 0;
    for (const char *at = target; *at != '\0';) {
        const size_t size = strcspn(at, "/");
        const int is_up = size == 2 && at[0] == '.' && at[1] == '.';

        if (is_up && is_down)
            return 0; /* behind a name that may be a link */
        ups += (size_t)is_up;
        is_down |= !is_up && size > 0 && !(size == 1 && at[0] == '.');
        at += size;
        at += strspn(at, "/");
    }
    return ups <= depth;
}
