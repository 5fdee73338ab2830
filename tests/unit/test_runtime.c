/* test_runtime.c - what is known of a container between the calls of cloister-oci. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/container.h"
#include "runtime/process.h"
#include "check.h"

static char place[] = "/tmp/cloister-test-runtime-XXXXXX";

static int open_root(void)
{
    struct cl_error err = {0};

    if (strchr(place, 'X') != NULL && strstr(place, "XXXXXX") != NULL)
        CHECK(mkdtemp(place) != NULL);
    int root = cl_runtime_open(place, &err);
    CHECK(root >= 0);
    return root;
}

/* A record as create writes it first. */
static void save(struct cl_oci_container *container)
{
    static const struct cl_group_place where = {.manager = CL_GROUP_NONE};
    struct cl_error err = {0};

    cl_container_set_place(container, &where);
    container->record.bundle = "/some/bundle";
    CHECK(cl_container_save(container, NULL, &err) == 0);
}

static pid_t start_sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    CHECK(pid > 0);
    return pid;
}

static void end_sleeper(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

TEST(ids_that_name_no_directory_of_their_own_are_refused)
{
    static const char *const ids[] = {"", ".", "..", "a/b", "a b", "\n", "a:b", "caf\303\251"};
    CL_CLEANUP_FD int root = open_root();
    char lengthy[300];

    memset(lengthy, 'x', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    for (size_t i = 0; i <= CL_ARRAY_SIZE(ids); i++) {
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container one = CL_OCI_CONTAINER_INIT;
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container two = CL_OCI_CONTAINER_INIT;
        const char *id = i < CL_ARRAY_SIZE(ids) ? ids[i] : lengthy;
        struct cl_error err = {0};

        CHECK(cl_container_make(root, id, &one, &err) < 0 && err.code != 0);
        CHECK(cl_container_open(root, id, 0, &two, &err) < 0);
    }
}

TEST(a_container_is_what_was_saved_of_it)
{
    CL_CLEANUP_FD int root = open_root();
    struct cl_error err = {0};

    for (int round = 0; round < 2; round++) {
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container twice = CL_OCI_CONTAINER_INIT;
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container found = CL_OCI_CONTAINER_INIT;

        CHECK(cl_container_make(root, "box_1.a+b-c", &made, &err) == 0);
        CHECK(cl_container_make(root, "box_1.a+b-c", &twice, &err) == -EEXIST);
        CHECK_HAS(err.msg, "exists");
        save(&made);
        CHECK(cl_container_open(root, "box_1.a+b-c", 0, &found, &err) == 0);
        CHECK(strcmp(found.record.bundle, "/some/bundle") == 0);
        CHECK(found.record.created_ns == made.record.created_ns && found.record.owner == geteuid());
        CHECK(cl_container_remove(&made, &err) == 0);
    }
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container gone = CL_OCI_CONTAINER_INIT;
    CHECK(cl_container_open(root, "box_1.a+b-c", 0, &gone, &err) == -ENOENT);
}

TEST(a_status_follows_the_first_process)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};

    CHECK(cl_container_make(root, "lives", &made, &err) == 0);
    save(&made);
    pid_t pid = start_sleeper();
    CHECK(cl_container_set_process(&made, pid, &err) == 0);
    CHECK(cl_container_save(&made, NULL, &err) == 0);
    CL_CLEANUP_FD int listener = cl_container_listen(&made, &err);
    CHECK(listener >= 0 && cl_container_status(&made, &err) == CL_CONTAINER_CREATED);
    CL_CLEANUP_FD int connection = cl_container_connect(&made, &err);
    CHECK(connection >= 0);
    CHECK(cl_container_forget_start(&made, &err) == 0);
    CHECK(cl_container_status(&made, &err) == CL_CONTAINER_RUNNING);
    end_sleeper(pid);
    CHECK(cl_container_status(&made, &err) == CL_CONTAINER_STOPPED);
    CHECK(cl_container_pidfd(&made) == -ESRCH);
    CHECK(cl_container_remove(&made, &err) == 0);
}

TEST(another_process_of_the_same_number_is_not_the_containers)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};

    CHECK(cl_container_make(root, "again", &made, &err) == 0);
    save(&made);
    pid_t pid = start_sleeper();
    CHECK(cl_container_set_process(&made, pid, &err) == 0);
    CL_CLEANUP_FD int right = cl_container_pidfd(&made);
    CHECK(right >= 0);
    made.record.start_ticks++;
    CHECK(cl_container_pidfd(&made) == -ESRCH);
    made.record.start_ticks--;
    made.record.boot = "00000000-0000-0000-0000-000000000000";
    CHECK(cl_container_pidfd(&made) == -ESRCH);
    end_sleeper(pid);
    CHECK(cl_container_remove(&made, &err) == 0);
}

TEST(a_zombie_has_ended)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};
    siginfo_t info;

    CHECK(cl_container_make(root, "zombie", &made, &err) == 0);
    save(&made);
    pid_t pid = start_sleeper();
    CHECK(cl_container_set_process(&made, pid, &err) == 0);
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(cl_container_pidfd(&made) == -ESRCH);
    CHECK(waitpid(pid, NULL, 0) == pid);
    CHECK(cl_container_remove(&made, &err) == 0);
}

TEST(a_process_that_is_gone_is_not_there)
{
    struct cl_process_stat stat = {0};
    pid_t pid = start_sleeper();

    CHECK(cl_process_look(pid, &stat) == 0 && stat.start_ticks > 0);
    end_sleeper(pid);
    CHECK(cl_process_look(pid, &stat) == -ENOENT);
}

TEST(who_changes_a_container_waits_for_another_who_does)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container looking = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};
    int status;

    CHECK(cl_container_make(root, "held", &made, &err) == 0);
    save(&made);
    CHECK(cl_container_open(root, "held", 0, &looking, &err) == 0); /* who looks waits for nobody */
    CHECK(cl_container_status(&looking, &err) == CL_CONTAINER_CREATING);
    pid_t pid = fork();
    if (pid == 0) {
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container other = CL_OCI_CONTAINER_INIT;

        cl_fd_close(&made.dir); /* the lock is its maker's alone */
        _exit(cl_container_open(root, "held", 1, &other, &err) == -ENOENT ? 0 : 1);
    }
    CHECK(pid > 0 && cl_container_remove(&made, &err) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static int count(void *context, const char *id, CL_UNUSED struct cl_error *err)
{
    int *number = context;

    CHECK(strcmp(id, "one") == 0 || strcmp(id, "two") == 0);
    ++*number;
    return 0;
}

TEST(all_containers_are_found)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container one = CL_OCI_CONTAINER_INIT;
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container two = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};
    int number = 0;

    CHECK(cl_container_make(root, "one", &one, &err) == 0);
    CHECK(cl_container_make(root, "two", &two, &err) == 0);
    CHECK(cl_runtime_walk(root, count, &number, &err) == 0 && number == 2);
    CHECK(cl_container_remove(&one, &err) == 0 && cl_container_remove(&two, &err) == 0);
}

TEST(a_root_that_others_may_write_is_refused)
{
    char path[64];
    struct cl_error err = {0};

    cl_fd_close(&(int){open_root()});
    (void)snprintf(path, sizeof(path), "%s/open", place);
    CHECK(mkdir(path, 0700) == 0 && chmod(path, 0777) == 0);
    CHECK(cl_runtime_open(path, &err) == -EPERM);
    CHECK_HAS(err.msg, "--root");
    CHECK(rmdir(path) == 0 && rmdir(place) == 0);
}

/* --- what fails ------------------------------------------------------------------------------ */

TEST(a_container_that_cant_be_made_leaves_no_directory)
{
    CL_CLEANUP_FD int root = open_root();
    int at;

    for (at = 1;; at++) {
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
        struct cl_error err = {0};
        char text[32];

        (void)snprintf(text, sizeof(text), "syscall:%d:5", at);
        cl_fault_set(text);
        int r = cl_container_make(root, "unmade", &made, &err);
        const int struck = cl_fault_struck();
        cl_fault_set(NULL);
        if (r == 0) {
            CHECK(!struck && cl_container_remove(&made, &err) == 0);
            break;
        }
        CHECK(r == -EIO && err.code == EIO && struck);
        CHECK(check_count_entries(place) == 0);
    }
    CHECK(at > 4);
}

/* Neither stopped, which it isn't, nor running, which nobody saw. */
TEST(a_container_that_cant_be_looked_at_has_no_status)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};
    int at;

    CHECK(cl_container_make(root, "unseen", &made, &err) == 0);
    save(&made);
    pid_t pid = start_sleeper();
    CHECK(cl_container_set_process(&made, pid, &err) == 0);
    for (at = 1;; at++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "syscall:%d:5", at);
        cl_fault_set(text);
        int status = cl_container_status(&made, &err);
        const int struck = cl_fault_struck();
        cl_fault_set(NULL);
        if (!struck) {
            CHECK(status == CL_CONTAINER_RUNNING);
            break;
        }
        CHECK(status == -EIO && err.code == EIO);
    }
    CHECK(at > 6);
    end_sleeper(pid);
    CHECK(cl_container_remove(&made, &err) == 0);
}

TEST(a_container_that_cant_be_looked_at_is_there)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};

    CHECK(cl_container_make(root, "hidden", &made, &err) == 0);
    for (int at = 1; at <= 2; at++) {
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container found = CL_OCI_CONTAINER_INIT;
        char text[32];

        (void)snprintf(text, sizeof(text), "syscall:%d:5", at);
        cl_fault_set(text);
        CHECK(cl_container_open(root, "hidden", 0, &found, &err) == -EIO);
        cl_fault_set(NULL);
    }
    CHECK(cl_container_remove(&made, &err) == 0);
}

TEST(what_cant_be_removed_says_why)
{
    CL_CLEANUP_FD int root = open_root();
    struct cl_error err = {0};

    for (int at = 1; at <= 2; at++) {
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
        CL_CLEANUP_OCI_CONTAINER struct cl_oci_container again = CL_OCI_CONTAINER_INIT;
        char text[32];

        CHECK(cl_container_make(root, "stays", &made, &err) == 0);
        save(&made);
        (void)snprintf(text, sizeof(text), "syscall:%d:5", at == 1 ? 2 : 5); /* record, directory */
        cl_fault_set(text);
        CHECK(cl_container_remove(&made, &err) == -EIO); /* not that it isn't empty */
        CHECK_HAS(err.msg, "remove the directory of container stays");
        cl_fault_set(NULL);
        CHECK(cl_container_open(root, "stays", 1, &again, &err) == 0);
        CHECK(cl_container_remove(&again, &err) == 0);
    }
}

TEST(a_beginning_that_cant_be_noted_is_an_error)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};

    CHECK(cl_container_make(root, "begins", &made, &err) == 0);
    CL_CLEANUP_FD int listener = cl_container_listen(&made, &err);
    CHECK(listener >= 0);
    cl_fault_set("syscall:1:5");
    CHECK(cl_container_forget_start(&made, &err) == -EIO && err.code == EIO);
    cl_fault_set(NULL);
    CHECK(cl_container_forget_start(&made, &err) == 0);
    CHECK(cl_container_forget_start(&made, &err) == 0); /* it was noted before */
    CHECK(cl_container_remove(&made, &err) == 0);
}

/* --- records that aren't ours ------------------------------------------------------------------
 */

static int open_with_record(int root, const void *bytes, size_t size, struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container found = CL_OCI_CONTAINER_INIT;
    struct cl_error unused = {0};

    CHECK(cl_container_make(root, "odd", &made, &unused) == 0);
    CL_CLEANUP_FD int fd = cl_sys_openat(made.dir, "record", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && cl_write_all(fd, bytes, size) == 0);
    int r = cl_container_open(root, "odd", 0, &found, err);
    CHECK(r < 0 || found.record.set == 0);
    CHECK(cl_container_remove(&made, &unused) == 0);
    return r;
}

/* Cut short anywhere, or with a byte that isn't its own: never taken for a record. */
TEST(a_record_that_is_not_whole_is_refused)
{
    CL_CLEANUP_FD int root = open_root();
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container made = CL_OCI_CONTAINER_INIT;
    struct cl_error err = {0};
    char bytes[1024];

    CHECK(cl_container_make(root, "whole", &made, &err) == 0);
    save(&made);
    CL_CLEANUP_FD int fd = cl_sys_openat(made.dir, "record", O_RDONLY, 0);
    const ssize_t size = cl_sys_read(fd, bytes, sizeof(bytes));
    CHECK(size > 100 && size < (ssize_t)sizeof(bytes));
    CHECK(open_with_record(root, bytes, 0, &err) == 0); /* being written just now */
    for (ssize_t cut = 1; cut < size; cut++)
        CHECK(open_with_record(root, bytes, (size_t)cut, &err) < 0 && err.code != 0);
    CHECK(open_with_record(root, "nonsense", 8, &err) < 0);
    CHECK(cl_container_remove(&made, &err) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(ids_that_name_no_directory_of_their_own_are_refused),
        ROW(a_container_is_what_was_saved_of_it),
        ROW(a_status_follows_the_first_process),
        ROW(another_process_of_the_same_number_is_not_the_containers),
        ROW(a_zombie_has_ended),
        ROW(a_process_that_is_gone_is_not_there),
        ROW(who_changes_a_container_waits_for_another_who_does),
        ROW(all_containers_are_found),
        ROW(a_container_that_cant_be_made_leaves_no_directory),
        ROW(a_container_that_cant_be_looked_at_has_no_status),
        ROW(a_container_that_cant_be_looked_at_is_there),
        ROW(what_cant_be_removed_says_why),
        ROW(a_beginning_that_cant_be_noted_is_an_error),
        ROW(a_record_that_is_not_whole_is_refused),
        ROW(a_root_that_others_may_write_is_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
