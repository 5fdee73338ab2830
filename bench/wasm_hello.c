/*
 * The module whose start is measured: says hello and ends.
 * With an argument it waits for the end of its standard input first, so that its memory can be
 * looked at.
 */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char byte;

    (void)argv;
    puts("hello");
    fflush(stdout);
    return argc > 1 && read(0, &byte, 1) != 0;
}
