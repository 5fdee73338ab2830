/* output_flood.c - writes lines for ever. */
#include <stdio.h>

int main(void)
{
    for (;;)
        puts("all work and no play makes a full disk");
}
