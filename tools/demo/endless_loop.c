/* endless_loop.c - computes, and never comes to an end. */
int main(void)
{
    volatile unsigned long steps = 0;

    for (;;)
        steps++;
}
