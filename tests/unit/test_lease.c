/* test_lease.c - leases: what a pull is about to use is known to a collection as long as the pull
 * lives, and no longer. */
#include "image/lease.h"
#include "store_scene.h"

static const char digits[] = "0123456789abcdef";

static int take(struct scene *scene, const char *chains, struct cl_lease *ret)
{
    struct cl_digest digests[16];
    const size_t count = strlen(chains);

    for (size_t i = 0; i < count; i++)
        digests[i] = digest_of(chains[i]);
    scene->err = (struct cl_error){0};
    return cl_lease_take(&scene->store, digests, count, ret, &scene->err);
}

/* Whether the leases that are held name exactly CHAINS, in any order. */
static void check_leased(struct scene *scene, const char *chains)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    char seen[sizeof(digits)] = "";
    size_t count = 0;

    scene->err = (struct cl_error){0};
    CHECK(cl_leases_read(&scene->store, &buf, &scene->err) == 0);
    CHECK_TEXT(scene->err.msg, "");
    CHECK(buf.size % sizeof(struct cl_digest) == 0);
    for (size_t i = 0; i < buf.size / sizeof(struct cl_digest); i++) {
        struct cl_digest digest;

        memcpy(&digest, buf.data + i * sizeof(digest), sizeof(digest));
        CHECK_TEXT(digest.hex, digest_of(digest.hex[0]).hex);
        CHECK(strchr(chains, digest.hex[0]) != NULL);
        if (strchr(seen, digest.hex[0]) == NULL && count < sizeof(seen) - 1)
            seen[count++] = digest.hex[0];
    }
    CHECK(count == strlen(chains));
}

TEST(a_collection_knows_of_the_chains_of_a_lease_that_is_held)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_lease one = CL_LEASE_INIT;
    struct cl_lease two = CL_LEASE_INIT;
    struct cl_lease none = CL_LEASE_INIT;

    scene_init(&scene);
    check_leased(&scene, "");
    CHECK(take(&scene, "ab", &one) == 0);
    CHECK(one.fd >= 0 && one.dir >= 0);
    check_leased(&scene, "ab");
    check_leased(&scene, "ab"); /* to be read is not to be taken */
    CHECK(take(&scene, "bc", &two) == 0);
    CHECK(take(&scene, "", &none) == 0);
    check_leased(&scene, "abc");
    cl_lease_done(&one);
    CHECK(one.fd == -1 && one.dir == -1);
    check_leased(&scene, "bc");
    cl_lease_done(&two);
    cl_lease_done(&none);
    cl_lease_done(&none); /* twice is as once */
    check_leased(&scene, "");
    CHECK(check_count_entries(scene_path(&scene, "leases")) == 0);
}

/* As many layers as an image can have. */
TEST(a_lease_holds_127_chains)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    CL_CLEANUP(cl_lease_done) struct cl_lease lease = CL_LEASE_INIT;
    struct cl_digest chains[127];

    scene_init(&scene);
    for (size_t i = 0; i < CL_ARRAY_SIZE(chains); i++)
        cl_digest_of(&i, sizeof(i), &chains[i]);
    CHECK(cl_lease_take(&scene.store, chains, CL_ARRAY_SIZE(chains), &lease, &scene.err) == 0);
    CHECK(cl_leases_read(&scene.store, &buf, &scene.err) == 0);
    CHECK(buf.size == sizeof(chains) && memcmp(buf.data, chains, sizeof(chains)) == 0);
}

TEST(a_lease_that_nobody_holds_is_worth_nothing_and_goes)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP(cl_lease_done) struct cl_lease held = CL_LEASE_INIT;
    struct other other;

    scene_init(&scene);
    CHECK(take(&scene, "c", &held) == 0);
    if (other_start(&other)) {
        struct cl_lease lease = CL_LEASE_INIT;

        CHECK(take(&scene, "ab", &lease) == 0);
        other_say(&other, 'x');
        pause_ms(60000);
        other_exit();
    }
    CHECK(other_hear(&other) == 'x');
    check_leased(&scene, "abc");
    CHECK(check_count_entries(scene_path(&scene, "leases")) == 2);
    other_kill(&other);
    check_leased(&scene, "c");
    CHECK(check_count_entries(scene_path(&scene, "leases")) == 1);
}

/* What a lease's descriptor is in a program that was started meanwhile: nothing. */
TEST(a_lease_is_its_holders_alone)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_lease lease = CL_LEASE_INIT;

    scene_init(&scene);
    CHECK(take(&scene, "ab", &lease) == 0);
    CHECK(fcntl(lease.fd, F_GETFD) == FD_CLOEXEC && fcntl(lease.dir, F_GETFD) == FD_CLOEXEC);
    cl_lease_done(&lease);
}

/* Killed while it was being written, or by a loss of power: any bytes. */
TEST(what_a_killed_process_left_of_a_lease_is_removed)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP(cl_lease_done) struct cl_lease held = CL_LEASE_INIT;

    scene_init(&scene);
    CHECK(take(&scene, "c", &held) == 0);
    scene_write(&scene, "leases/0123456789abcdef", "", 0);
    scene_write(&scene, "leases/1123456789abcdef", "half a ch", 9);
    CHECK(mkfifo(scene_path(&scene, "leases/2123456789abcdef"), 0600) == 0);
    check_leased(&scene, "c");
    CHECK(check_count_entries(scene_path(&scene, "leases")) == 1);
}

TEST(who_takes_a_lease_waits_for_a_collection)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    CL_CLEANUP_FD int collect =
        cl_store_lock(&scene.store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    CHECK(collect >= 0);
    if (other_start(&other)) {
        CL_CLEANUP(cl_lease_done) struct cl_lease lease = CL_LEASE_INIT;

        cl_fd_close(&collect); /* the parent's stays */
        CHECK(take(&scene, "ab", &lease) == 0);
        other_say(&other, 'x');
        pause_ms(60000);
        other_exit();
    }
    CHECK(other_waits_in(&other, SYS_fcntl));
    check_leased(&scene, "");
    cl_fd_close(&collect);
    CHECK(other_hear(&other) == 'x');
    check_leased(&scene, "ab");
    other_kill(&other);
}

TEST(a_lease_keeps_no_collection_away)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP(cl_lease_done) struct cl_lease lease = CL_LEASE_INIT;

    scene_init(&scene);
    CHECK(take(&scene, "ab", &lease) == 0);
    CL_CLEANUP_FD int collect =
        cl_store_lock(&scene.store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    CHECK(collect >= 0);
}

/* A lease that can't be read is no lease that isn't there: what it names would be lost. */
TEST(whatever_fails_is_told_and_loses_no_lease)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP(cl_lease_done) struct cl_lease held = CL_LEASE_INIT;

    scene_init(&scene);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        struct cl_lease lease = CL_LEASE_INIT;

        fault_begin(&faults);
        int r = take(&scene, "ab", &lease);
        fault_end(&faults);
        CHECK(r == (faults.struck ? -EIO : 0));
        CHECK(r == 0 || (lease.fd == -1 && lease.dir == -1 && scene.err.msg[0] != '\0'));
        cl_lease_done(&lease);
        CHECK(check_count_fds() == scene.before + 1);
        CHECK(check_count_entries(scene_path(&scene, "leases")) == 0);
    }
    CHECK(take(&scene, "ab", &held) == 0);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);

        scene.err = (struct cl_error){0};
        fault_begin(&faults);
        int r = cl_leases_read(&scene.store, &buf, &scene.err);
        fault_end(&faults);
        CHECK(r == -EIO || (r == 0 && buf.size == 2 * sizeof(struct cl_digest)));
        CHECK(r == 0 || scene.err.msg[0] != '\0');
        CHECK(check_count_fds() == scene.before + 3);
        CHECK(check_count_entries(scene_path(&scene, "leases")) == 1);
    }
    CL_CLEANUP_BUF struct cl_buf small = CL_BUF_INIT(sizeof(struct cl_digest));
    CHECK(cl_leases_read(&scene.store, &small, &scene.err) < 0);
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_collection_knows_of_the_chains_of_a_lease_that_is_held),
        ROW(a_lease_holds_127_chains),
        ROW(a_lease_that_nobody_holds_is_worth_nothing_and_goes),
        ROW(a_lease_is_its_holders_alone),
        ROW(what_a_killed_process_left_of_a_lease_is_removed),
        ROW(who_takes_a_lease_waits_for_a_collection),
        ROW(a_lease_keeps_no_collection_away),
        ROW(whatever_fails_is_told_and_loses_no_lease),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
