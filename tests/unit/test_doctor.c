/* test_doctor.c - what doctor finds, says and advises: each probe on a host that lacks its
 * thing (a failing system call, or files of the test's own in the room). */
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "cmd/cloister/probe.h"
#include "sandbox/table.h"
#include "command_scene.h"

static struct cl_finding finding;

/* What PROBE finds where NR fails (the NTH time, or always) in those whom SIDE names. */
static void probe_with(void (*probe)(struct cl_finding *finding), const char *side, long nr,
                       int nth, int errnum)
{
    char fault[64];

    if (nth == 0)
        (void)snprintf(fault, sizeof(fault), "%slacks:%ld=%d", side, nr, errnum);
    else
        (void)snprintf(fault, sizeof(fault), "%slacks:%ld#%d=%d", side, nr, nth, errnum);
    finding = (struct cl_finding){0};
    cl_fault_set(fault);
    probe(&finding);
    cl_fault_set(NULL);
}

static void probe_as_it_is(void (*probe)(struct cl_finding *finding))
{
    finding = (struct cl_finding){.state = CL_PROBE_STATE_COUNT};
    probe(&finding);
}

static void check_found(enum cl_probe_state state, const char *why, const char *cure)
{
    CHECK(finding.state == state);
    CHECK_TEXT(finding.why, why);
    CHECK_TEXT(finding.cure, cure);
}

/* --- by asking ----------------------------------------------------------------------- */

TEST(a_long_word_is_cut)
{
    char text[600];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cl_found(&finding, CL_PROBE_LATER, "%s", text);
    cl_cure(&finding, "%s", text);
    CHECK(finding.state == CL_PROBE_LATER);
    CHECK(strlen(finding.why) == 511 && strlen(finding.cure) == 511);
}

TEST(the_first_line_of_a_file_is_read)
{
    char text[8];

    CHECK(room_write("/tmp/cloister-test-probe", "one\ntwo\n") == 0);
    cl_probe_read("/tmp/cloister-test-probe", text, sizeof(text));
    CHECK_TEXT(text, "one");
    cl_probe_read("/tmp/cloister-test-probe", text, 3);
    CHECK_TEXT(text, "on");
    CHECK(unlink("/tmp/cloister-test-probe") == 0);
    cl_probe_read("/tmp/cloister-test-probe", text, sizeof(text));
    CHECK_TEXT(text, "");
}

TEST(the_kernel_is_new_enough_for_these_tests)
{
    probe_as_it_is(cl_probe_kernel);
    CHECK(finding.state == CL_PROBE_WORKS && strncmp(finding.why, "Linux ", 6) == 0);
}

TEST(landlock_is_there_or_not)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const char cure[] = "boot with lsm=landlock,... on the kernel's command line, or accept "
                               "it: run --without landlock";

    probe_with(cl_probe_landlock, "self:", SYS_landlock_create_ruleset, 0, EOPNOTSUPP);
    check_found(CL_PROBE_MISSING, "switched off at boot", cure);
    probe_with(cl_probe_landlock, "self:", SYS_landlock_create_ruleset, 0, ENOSYS);
    check_found(CL_PROBE_MISSING, "Function not implemented", cure);
    char fault[64];
    (void)snprintf(fault, sizeof(fault), "answers:%d=1", SYS_landlock_create_ruleset);
    cl_fault_set(fault);
    probe_as_it_is(cl_probe_landlock);
    check_found(CL_PROBE_MISSING, "ABI 1, at least 2 is needed", cure);
    cl_fault_set(NULL);
}

TEST(devices_are_there_or_not)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    probe_with(cl_probe_kvm, "self:", SYS_faccessat, 0, ENOENT);
    check_found(CL_PROBE_LATER, "/dev/kvm can't be opened", "");
    probe_as_it_is(cl_probe_later);
    check_found(CL_PROBE_LATER, "-", "");
}

TEST(the_helper_is_beside_the_program_or_nowhere)
{
    probe_as_it_is(cl_probe_helper);
    CHECK(finding.state == CL_PROBE_ABSENT);
    CHECK_HAS(finding.why, "--policy, --seccomp and user names need it: the program cloister-plan");
}

/* --- by files of the host ------------------------------------------------------------ */

static void look_at_the_host(void)
{
    static const char selinux_cure[] =
        "install container-selinux, or load the modules of packaging/selinux; or run with "
        "--without selinux";

    CHECK(mount("tmpfs", "/sys/fs", "tmpfs", 0, "mode=0755") == 0);
    probe_as_it_is(cl_probe_selinux);
    check_found(CL_PROBE_ABSENT, "not on this host", "");
    CHECK(mkdir("/sys/fs/selinux", 0755) == 0 && room_write("/sys/fs/selinux/enforce", "0") == 0);
    probe_as_it_is(cl_probe_selinux);
    check_found(CL_PROBE_ABSENT,
                "permissive, and the policy doesn't know system_u:system_r:container_t",
                selinux_cure);
    CHECK(room_write("/sys/fs/selinux/enforce", "1") == 0);
    probe_as_it_is(cl_probe_selinux);
    check_found(CL_PROBE_MISSING,
                "enforcing, and the policy doesn't know system_u:system_r:container_t",
                selinux_cure);
    CHECK(room_write("/sys/fs/selinux/context", "") == 0); /* answers what it is asked */
    probe_as_it_is(cl_probe_selinux);
    check_found(CL_PROBE_WORKS, "enforcing; commands run as container_t", "");

    CHECK(mount("tmpfs", "/sys/module", "tmpfs", 0, "mode=0755") == 0);
    probe_as_it_is(cl_probe_apparmor);
    check_found(CL_PROBE_ABSENT, "not on this host", "");
    CHECK(mkdir("/sys/module/apparmor", 0755) == 0);
    CHECK(mkdir("/sys/module/apparmor/parameters", 0755) == 0);
    CHECK(room_write("/sys/module/apparmor/parameters/enabled", "Y\n") == 0);
    CHECK(mount("tmpfs", "/sys/kernel", "tmpfs", 0, "mode=0755") == 0);
    probe_as_it_is(cl_probe_apparmor);
    check_found(CL_PROBE_ABSENT, "on, but its files are not to be seen here", "");
    CHECK(mkdir("/sys/kernel/security", 0755) == 0);
    CHECK(mkdir("/sys/kernel/security/apparmor", 0755) == 0);
    CHECK(room_write("/sys/kernel/security/apparmor/.access", "") == 0); /* what takes a query */
    probe_as_it_is(cl_probe_apparmor);
    check_found(CL_PROBE_WORKS, "the profile cloister-sandbox is loaded", "");
#ifdef CL_FAULTS
    char fault[32];
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_write, ENOENT);
    cl_fault_set(fault);
    probe_as_it_is(cl_probe_apparmor);
    cl_fault_set(NULL);
    CHECK(finding.state == CL_PROBE_MISSING);
    CHECK_HAS(finding.cure, "apparmor_parser -r");
    CHECK_HAS(finding.cure, "--without apparmor");
#endif
}

TEST(labels_are_looked_for)
{
    room_run(look_at_the_host);
}

static int is_any_seat_taken(void)
{
    CL_CLEANUP_FD int table = cl_sys_openat(AT_FDCWD, "/run/cloister/table", O_RDONLY, 0);
    struct cl_table now;

    CHECK(table >= 0 && cl_table_read(table, &now) == 0);
    return cl_table_next(&now, 0) >= 0;
}

static void look_at_state(void)
{
    command_own_state();
    probe_as_it_is(cl_probe_state_dir);
    check_found(CL_PROBE_WORKS, "ours, closed to others, and takes records", "");
    CHECK(!is_any_seat_taken());
    CHECK(chmod("/run/cloister", 0711) == 0);
    probe_as_it_is(cl_probe_state_dir);
    check_found(CL_PROBE_MISSING, "the state directory /run/cloister is open to others",
                "run chmod 700 on it");
}

/* The directory is there, and nothing can be taken in it. */
static void look_at_closed_state(void)
{
    command_own_state();
    CHECK(mkdir("/run/cloister", 0700) == 0);
    CHECK(mount(NULL, "/run", NULL, MS_REMOUNT | MS_RDONLY | MS_BIND, NULL) == 0);
    probe_as_it_is(cl_probe_state_dir);
    CHECK(finding.state == CL_PROBE_MISSING);
    CHECK_HAS(finding.why, "open the file of uid ranges: Read-only file system");
    CHECK_HAS(finding.cure, "ReadWritePaths=/run/cloister");
    CHECK_HAS(finding.cure, "RuntimeDirectoryPreserve=yes");
}

/* No file can be made; or made, but not written, to where the table must be. */
static void look_at_full_state(void)
{
    command_own_state();
    CHECK(mount("tmpfs", "/run", "tmpfs", 0, "mode=0755,nr_inodes=2") == 0);
    CHECK(mkdir("/run/cloister", 0700) == 0);
    probe_as_it_is(cl_probe_state_dir);
    check_found(CL_PROBE_MISSING, "open the file of uid ranges: No space left on device",
                "make room (df, df -i) in the file system of /run");
    CHECK(mount("tmpfs", "/run", "tmpfs", 0, "mode=0755,size=4k") == 0);
    CHECK(room_write("/run/filler", "x") == 0);
    probe_as_it_is(cl_probe_state_dir);
    check_found(CL_PROBE_MISSING, "write the sandbox's record: No space left on device",
                "make room (df, df -i) in the file system of /run");
    CHECK(!is_any_seat_taken());
}

TEST(the_state_directory_is_tried)
{
    room_run(look_at_state);
    room_run(look_at_closed_state);
    room_run(look_at_full_state);
}

static void look_at_roots_ids(void)
{
    static const char map[] = "/mnt/uid_map";

    CHECK(mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") == 0);
    probe_as_it_is(cl_probe_ids); /* the room's map has one uid */
    CHECK(finding.state == CL_PROBE_MISSING);
    CHECK_HAS(finding.why, "this user namespace lacks the uids 1879048192 to 2147352575");
    CHECK_HAS(finding.cure, "unshare -r");
    CHECK(room_write(map, "         0          0 2147352575\n") == 0);
    CHECK(mount(map, "/proc/self/uid_map", NULL, MS_BIND, NULL) == 0);
    probe_as_it_is(cl_probe_ids);
    CHECK(finding.state == CL_PROBE_MISSING);
    CHECK(room_write(map, "         0          0 4294967295\n") == 0);
    probe_as_it_is(cl_probe_ids);
    CHECK(finding.state == CL_PROBE_WORKS);
    CHECK(room_write("/etc/subuid", "somebody:100000:65536\n") == 0);
    CHECK(room_write("/etc/subgid", "other:1879048192:1\n") == 0);
    probe_as_it_is(cl_probe_ids);
    check_found(CL_PROBE_MISSING,
                "\"other:1879048192:1\" in /etc/subgid overlaps the uids 1879048192 to 2147352575 "
                "of sandboxes",
                "move that range, or theirs by a line \"cloister:FIRST:COUNT\" in /etc/subuid and "
                "/etc/subgid");
    CHECK(room_write("/etc/subuid", "cloister:655360000:655360\n") == 0);
    CHECK(room_write("/etc/subgid", "other:1879048192:1\ncloister:655360000:655360\n") == 0);
    probe_as_it_is(cl_probe_ids);
    check_found(CL_PROBE_WORKS, "10 ranges from 655360000, as /etc/subuid says of cloister", "");
}

TEST(ranges_that_overlap_ours_are_found)
{
    room_run(look_at_roots_ids);
}

/* From here on the caller is the ordinary user 1000. */
static void become_a_user(void)
{
    CHECK(cl_sys_unshare(CLONE_NEWUSER) == 0);
    CHECK(room_write("/proc/self/setgroups", "deny") == 0);
    CHECK(room_write("/proc/self/uid_map", "1000 0 1") == 0);
    CHECK(room_write("/proc/self/gid_map", "1000 0 1") == 0);
    CHECK(geteuid() == 1000);
}

static void look_at_a_users_ids(void)
{
    static const char none[] = "no range in /etc/subuid and /etc/subgid: --profile build can't "
                               "run, strict needs none";
    static const char cure[] = "as root: usermod --add-subuids 100000-165535 --add-subgids "
                               "100000-165535 ";
    char text[160];

    (void)unsetenv("USER"); // NOLINT(concurrency-mt-unsafe): single-threaded
    CHECK(mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") == 0);
    CHECK(mount("tmpfs", "/usr/bin", "tmpfs", 0, "mode=0755") == 0);
    become_a_user();
    CHECK(room_write("/etc/subuid", "\n:1:2\n") == 0 && room_write("/etc/subgid", "\n\n") == 0);
    (void)snprintf(text, sizeof(text), "%sUSER", cure); /* nobody's name is no line's */
    probe_as_it_is(cl_probe_ids);
    check_found(CL_PROBE_ABSENT, none, text);
    CHECK(room_write("/etc/passwd", "root:x:0:0\nbad\n:::\nann:x:10000:1\nbob:x:1000:1000:B\n") ==
          0);
    CHECK(room_write("/etc/subgid", "bob:100000:65536\n") == 0); /* both files count */
    CHECK(room_write("/etc/subuid", "bobby:1:2\nann:1:2\nbo:1:2\n10000:1:2\nbob") == 0);
    probe_as_it_is(cl_probe_ids);
    check_found(CL_PROBE_ABSENT, none,
                "as root: usermod --add-subuids 165536-231071 --add-subgids 165536-231071 bob");
    CHECK(room_write("/etc/subuid", "ann:1:2\nbob:200000:65536\n") == 0);
    CHECK(unlink("/etc/subgid") == 0);
    (void)snprintf(text, sizeof(text), "%sbob", cure);
    probe_as_it_is(cl_probe_ids);
    check_found(CL_PROBE_ABSENT, none, text);
    CHECK(room_write("/etc/subgid", "bob:200000:65536\n") == 0);
    CHECK(room_write("/etc/subuid", "1000:200000:65536") == 0);
    probe_as_it_is(cl_probe_ids);
    check_found(CL_PROBE_ABSENT, "no newuidmap: --profile build can't run, strict needs none",
                "install the package uidmap");
    CHECK(room_write("/usr/bin/newuidmap", "") == 0 && chmod("/usr/bin/newuidmap", 0755) == 0);
    finding.cure[0] = '\0';
    cl_probe_ids(&finding);
    check_found(CL_PROBE_WORKS, "for --profile build, through newuidmap", "");
    probe_as_it_is(cl_probe_idmap);
    check_found(CL_PROBE_ABSENT, "for root alone; others map one uid", "");
    probe_as_it_is(cl_probe_loop);
    check_found(CL_PROBE_ABSENT, "for root alone; others have scratch in memory", "");
}

TEST(a_users_ranges_are_found_by_name_or_number)
{
    room_run(look_at_a_users_ids);
}

static void check_no_disk(const char *more, const char *cure)
{
    char why[512];

    probe_as_it_is(cl_probe_loop);
    (void)snprintf(why, sizeof(why), "scratch must stay within half of the memory limit%s", more);
    check_found(CL_PROBE_ABSENT, why, cure);
}

static void look_for_a_place_on_disk(void)
{
    static const char *const cure = "let /var/lib/cloister be a directory that root can write to, "
                                    "on a file system with files without names, as ext4, xfs and "
                                    "btrfs";
    static const char *const size[] = {"size=2m", "size=64k"};

    CHECK(mount("tmpfs", "/dev", "tmpfs", 0, "mode=0755") == 0);
    check_no_disk("", "modprobe loop");
    CHECK(room_write("/dev/loop-control", "") == 0);
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755,size=2m") == 0);
    if (access("/usr/sbin/mke2fs", X_OK) == 0) {
        probe_as_it_is(cl_probe_loop);
        check_found(CL_PROBE_WORKS, "scratch larger than half of the memory limit", "");
        CHECK(access("/var/lib/cloister", F_OK) < 0); /* it isn't for doctor to make */
        CHECK(room_write("/mnt/empty", "") == 0);
        CHECK(mount("/mnt/empty", "/usr/sbin/mke2fs", NULL, MS_BIND, NULL) == 0);
    }
    check_no_disk(": no mke2fs", "install e2fsprogs");
    for (size_t i = 0; i < CL_ARRAY_SIZE(size); i++) {
        CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, size[i]) == 0);
        CHECK(mkdir("/var/lib/cloister", 0711) == 0);
        if (i == 0)
            check_no_disk(": no mke2fs", "install e2fsprogs");
        else
            check_no_disk(": /var/lib/cloister: No space left on device",
                          "make room in /var/lib/cloister (df, df -i)");
    }
    CHECK(chmod("/var/lib/cloister", 0777) == 0);
    check_no_disk(": /var/lib/cloister: Operation not permitted",
                  "chown root /var/lib/cloister && chmod 711 /var/lib/cloister");
    CHECK(chmod("/var/lib/cloister", 0711) == 0);
    CHECK(mount(NULL, "/var/lib", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    check_no_disk(": /var/lib/cloister: Read-only file system", cure);
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", MS_RDONLY, NULL) == 0);
    check_no_disk(": /var/lib/cloister: Read-only file system", cure);
}

TEST(scratch_on_disk_needs_more_than_a_device)
{
    room_run(look_for_a_place_on_disk);
}

/* --- by trying in a child ------------------------------------------------------------ */

static void try_where_it_fails(void)
{
    CHECK(mount("tmpfs", "/proc/sys", "tmpfs", 0, "mode=0755") == 0); /* no setting refuses */
    probe_with(cl_probe_userns, "children:", SYS_unshare, 0, EPERM);
    check_found(CL_PROBE_MISSING, "Operation not permitted",
                "inside another container, allow it to make user namespaces");
    probe_with(cl_probe_userns, "children:", SYS_unshare, 0, ENOSPC);
    check_found(CL_PROBE_MISSING, "No space left on device",
                "there are too many: raise the limits of /proc/sys/user/");
    probe_with(cl_probe_userns, "children:", SYS_mount, 0, EINVAL);
    check_found(CL_PROBE_MISSING, "Invalid argument", "use a kernel with CONFIG_USER_NS");
    CHECK(mkdir("/proc/sys/kernel", 0755) == 0);
    CHECK(room_write("/proc/sys/kernel/unprivileged_userns_clone", "0\n") == 0);
    probe_with(cl_probe_userns, "children:", SYS_unshare, 0, EPERM);
    check_found(CL_PROBE_MISSING, "kernel.unprivileged_userns_clone is 0",
                "as root: sysctl kernel.unprivileged_userns_clone=1");

    probe_with(cl_probe_namespaces, "children:", SYS_unshare, 0, ENOSPC);
    check_found(CL_PROBE_MISSING, "No space left on device", "see /proc/sys/user/max_*_namespaces");
    probe_with(cl_probe_overlay, "children:", SYS_mount, 2, ENODEV);
    check_found(CL_PROBE_MISSING, "overlay in a user namespace: No such device",
                "as root: modprobe overlay");
    probe_with(cl_probe_procfs, "", SYS_mount, 0, EPERM); /* pid 1 there as here */
    CHECK(finding.state == CL_PROBE_MISSING);
    CHECK_TEXT(finding.why, "/proc can't be mounted: Operation not permitted");
    CHECK_HAS(finding.cure, "start that container with an unmasked /proc");
    probe_with(cl_probe_seccomp, "children:", SYS_seccomp, 0, EINVAL);
    check_found(CL_PROBE_MISSING, "Invalid argument", "use a kernel with CONFIG_SECCOMP_FILTER");
    probe_with(cl_probe_idmap, "children:", SYS_mount_setattr, 0, EINVAL);
    CHECK(finding.state == CL_PROBE_MISSING);
    CHECK_HAS(finding.why, "the file system of /usr: ");
}

TEST(what_fails_is_told_with_its_cure)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(try_where_it_fails);
}

static int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void try_where_it_works(void)
{
    static void (*const probes[])(struct cl_finding * finding) = {
        cl_probe_userns, cl_probe_namespaces, cl_probe_overlay, cl_probe_seccomp};
    const int before = count_descriptors();

    for (size_t i = 0; i < CL_ARRAY_SIZE(probes); i++) {
        probe_as_it_is(probes[i]);
        CHECK(finding.state == CL_PROBE_WORKS && finding.why[0] != '\0');
        CHECK(finding.cure[0] == '\0');
    }
    CHECK(count_descriptors() == before);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    CHECK(access("/tmp/lower", F_OK) < 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
}

TEST(trying_leaves_nothing)
{
    room_run(try_where_it_works);
}

/* --- the command --------------------------------------------------------------------- */

static void run_doctor(void)
{
    char fault[32];

    command_own_state();
    CHECK(RUN(&cl_command_doctor, "now", NULL) == -EINVAL);
    (void)snprintf(fault, sizeof(fault), "self:lacks:%d", (int)SYS_landlock_create_ruleset);
    cl_fault_set(fault);
    CHECK(RUN(&cl_command_doctor, NULL) == 1); /* what the wall stands on is missing */
    CHECK_HAS(said.out,
              "container   landlock           missing         Function not implemented\n");
    CHECK_HAS(said.out, "wasm        engine             missing         ");
    CHECK_HAS(said.out, "\nengine: make wasm builds it");
    CHECK_HAS(said.out, "\nlandlock: boot with lsm=landlock,...");
    CHECK_HAS(said.out, "\nThe container wall does not work for this user as it is; see above.\n");
    CHECK(strchr(said.out, '\033') == NULL);
    CHECK(RUN(&cl_command_doctor, "--format", "json", NULL) == 1);
    CHECK_HAS(said.out, "\"uid\": 0,\n  \"works\": false,\n  \"walls\": {\n"
                        "    \"container\": \"missing\",\n    \"wasm\": \"missing\",\n"
                        "    \"vm\": \"not built yet\",\n    \"kernel\": \"not built yet\"\n");
    CHECK_HAS(said.out, "\"layers\": [\n        \"userns\",\n        \"capabilities\"\n      ]");
    CHECK_HAS(said.out, "\"cure\": null");
    cl_fault_set(NULL);
}

TEST(doctor_says_it_all)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(run_doctor);
}

/* Each layer stands at most in one row of doctor's, and is one. */
static void name_layers(void)
{
    uint64_t seen = 0;

    command_own_state();
    (void)RUN(&cl_command_doctor, "--format", "json", NULL);
    for (const char *at = strstr(said.out, "\"layers\": ["); at != NULL;
         at = strstr(at + 1, "\"layers\": [")) {
        for (const char *word = at + strlen("\"layers\": ["); *word != ']'; word++) {
            char name[32];
            size_t size = *word == '"' ? strcspn(word + 1, "\"") : 0;

            if (size == 0)
                continue;
            (void)snprintf(name, sizeof(name), "%.*s", (int)size, word + 1);
            enum cl_layer layer = cl_layer_by_name(name);
            CHECK(layer < CL_LAYER_COUNT && (seen & CL_LAYER_BIT(layer)) == 0);
            seen |= CL_LAYER_BIT(layer);
            word += size + 1;
        }
    }
    CHECK((cl_layers_acceptable() & ~seen) == 0);
}

TEST(every_layer_that_may_be_missing_has_a_probe)
{
    room_run(name_layers);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_long_word_is_cut),
        ROW(the_first_line_of_a_file_is_read),
        ROW(the_kernel_is_new_enough_for_these_tests),
        ROW(landlock_is_there_or_not),
        ROW(devices_are_there_or_not),
        ROW(the_helper_is_beside_the_program_or_nowhere),
        ROW(labels_are_looked_for),
        ROW(the_state_directory_is_tried),
        ROW(ranges_that_overlap_ours_are_found),
        ROW(a_users_ranges_are_found_by_name_or_number),
        ROW(scratch_on_disk_needs_more_than_a_device),
        ROW(what_fails_is_told_with_its_cure),
        ROW(trying_leaves_nothing),
        ROW(doctor_says_it_all),
        ROW(every_layer_that_may_be_missing_has_a_probe),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
