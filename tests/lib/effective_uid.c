// Says as whom it runs: made set-user-ID, it tells whether privileges can be gained.
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    printf("Effective uid: %u\n", (unsigned)geteuid());
    return 0;
}
