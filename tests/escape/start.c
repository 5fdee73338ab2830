/*
 * Attack: start another program, and take what its file's bits or capabilities give. What is
 *   started prints the verdict. args: the path and the arguments
 * Layer: nosuid, no-new-privs.
 * Source: execve(2), "Effect of set-user-ID on execve".
 */
#include "attack.h"

int main(int argc, char **argv)
{
    pid_t pid;
    int status;

    if (argc < 2)
        take_words(&argc, &argv);
    pid = fork();
    if (pid == 0) {
        execv(argv[1], argv + 1);
        impossible("execv %s: %s", argv[1], strerror(errno));
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        impossible("fork: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}
