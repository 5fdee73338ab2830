/* primes.c - an honest program: counts the primes below N with a sieve. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    enum { N = 5000000 };
    char *composite = calloc(N, 1);
    int count = 0;

    if (composite == NULL)
        return 1;
    for (int i = 2; i < N; i++) {
        if (composite[i])
            continue;
        count++;
        for (long j = (long)i * i; j < N; j += i)
            composite[j] = 1;
    }
    printf("%d primes below %d, counted by uid %d in process %d\n", count, N, (int)getuid(),
           (int)getpid());
    free(composite);
    return 0;
}
