/* memory_hog.c - takes memory and writes on all of it, for ever. */
#include <stdlib.h>
#include <string.h>

int main(void)
{
    const size_t piece = 1 << 20;

    for (;;) {
        char *more = malloc(piece);

        if (more != NULL)
            memset(more, 0x5a, piece);
    }
}
