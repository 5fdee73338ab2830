/* A module that waits: for a clock, as many milliseconds as its first argument says, without end
 * when it says 0 - and uses the processor without end when there is none. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const unsigned int ms = argc > 1 ? (unsigned int)atoi(argv[1]) : 0;

    for (volatile unsigned long n = 0; argc < 2; n++)
        ;
    do
        usleep(ms == 0 ? 1000000000 : ms * 1000);
    while (ms == 0);
    return 0;
}
