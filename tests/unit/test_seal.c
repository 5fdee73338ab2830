/* test_seal.c - a program that its user can write runs from a sealed copy. The test starts
 * itself anew, as an ordinary user from a file of theirs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "base/seal.h"
#include "check.h"

enum { NOBODY = 65534, GET_SEALS = 1034, ALL_SEALS = 0xf, RAN_AS_IT_WAS = 10, RAN_SEALED, FAILED };

static char self[] = "/proc/self/exe";

/* What the started one does: argv is "seal", or the path that the seal gave, and a word. */
static int run_sealed(char *argv[])
{
    struct cl_error err = {0};
    CL_CLEANUP_FD int exe = open(self, O_RDONLY | O_CLOEXEC);
    int seals = fcntl(exe, GET_SEALS);
    const char *expected = getenv("SEAL_FILE"); // NOLINT(concurrency-mt-unsafe): single-threaded

    if (seals == ALL_SEALS) /* the word came along, and the path is the file's, not the copy's */
        return cl_seal_self(argv, &err) == 0 && strcmp(argv[1], "word") == 0 && expected != NULL &&
                       strcmp(argv[0], expected) == 0 && argv[2] == NULL
                   ? RAN_SEALED
                   : FAILED;
    return cl_seal_self(argv, &err) == 0 ? RAN_AS_IT_WAS : FAILED;
}

/* Copies the running program to PATH, with OWNER where this is root. */
static void copy_program(const char *path, uid_t owner)
{
    CL_CLEANUP_FD int from = open(self, O_RDONLY | O_CLOEXEC);
    CL_CLEANUP_FD int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ssize_t sent;

    do
        sent = cl_sys_sendfile(to, from, 1 << 24);
    while (sent > 0);
    CHECK(sent == 0);
    CHECK(fchmod(to, 0555) == 0); /* its owner could allow themselves to write it */
    if (geteuid() == 0)
        CHECK(fchown(to, owner, owner) == 0);
}

/* The exit status of the program at PATH, started by an ordinary user. */
static int start(const char *path)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        char name[] = "seal";
        char word[] = "word";
        char *const argv[] = {name, word, NULL};

        if (geteuid() == 0 && (cl_sys_setresgid(NOBODY) < 0 || cl_sys_setresuid(NOBODY) < 0))
            _exit(1);
        (void)setenv("SEAL_FILE", path, 1);
        (void)execv(path, argv);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char directory[] = "/tmp/cloister-test-seal-XXXXXX";
static char file[sizeof(directory) + 8];

static void copy_here(uid_t owner)
{
    (void)snprintf(file, sizeof(file), "%s/copy", directory);
    copy_program(file, owner);
}

TEST(a_program_of_its_user_runs_sealed)
{
    copy_here(NOBODY);
    CHECK(start(file) == RAN_SEALED);
    CHECK(unlink(file) == 0);
}

TEST(a_program_of_root_runs_as_it_is)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, to own the program");
    copy_here(0);
    CHECK(start(file) == RAN_AS_IT_WAS);
    CHECK(chmod(file, 0777) == 0); /* not its own, but writable */
    CHECK(start(file) == RAN_SEALED);
    CHECK(unlink(file) == 0);
}

TEST(root_needs_no_seal)
{
    char name[] = "test";
    char *const argv[] = {name, NULL};
    struct cl_error err = {0};

    if (geteuid() != 0)
        SKIP_TEST("needs root");
    CHECK(cl_seal_self(argv, &err) == 0);
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(a_program_of_its_user_runs_sealed),
        ROW(a_program_of_root_runs_as_it_is),
        ROW(root_needs_no_seal),
    };

    if (argc == 2 && strcmp(argv[1], "word") == 0)
        return run_sealed(argv);
    if (mkdtemp(directory) == NULL || chmod(directory, 0755) < 0)
        return 1;
    int status = check_run(tests, CL_ARRAY_SIZE(tests));
    (void)rmdir(directory);
    return status;
}
