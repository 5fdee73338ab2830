/* test_spec_linux.c - the part of an OCI bundle that is Linux's: namespaces, devices, paths and
 * what else is there but resources. */
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <time.h>

#include "spec_scene.h"

static int parse(struct spec_scene *scene, const char *text)
{
    int r = spec_parse(scene, CL_SPEC_CONFIG, text);

    CHECK_TEXT(scene->err.msg, "");
    return r;
}

static const struct {
    const char *type;
    uint32_t kind;
} kinds[] = {
    {"pid", CLONE_NEWPID}, {"network", CLONE_NEWNET}, {"mount", CLONE_NEWNS}, {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS}, {"user", CLONE_NEWUSER},   {"cgroup", 0x2000000},  {"time", 0x80},
};

TEST(all_namespaces_are_known)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[256];

        (void)snprintf(text, sizeof(text),
                       SPEC_LINUX("'namespaces': [{'type': '%s', 'path': '/n'}]"), kinds[i].type);
        CHECK(parse(&scene, text) == 0 && scene.spec.namespaces.count == 1);
        CHECK(scene.spec.namespaces.items[0].kind == kinds[i].kind);
        CHECK_TEXT(scene.spec.namespaces.items[0].path, "/n");
    }
}

TEST(a_namespace_without_a_path_is_a_new_one)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(parse(&scene,
                SPEC_LINUX("'namespaces': [{'type': 'pid'}, {'type': 'ipc', 'path': ''}]")) == 0);
    CHECK(scene.spec.namespaces.count == 2);
    CHECK_TEXT(cl_spec_namespace(&scene.spec, CLONE_NEWPID)->path, "");
    CHECK_TEXT(cl_spec_namespace(&scene.spec, CLONE_NEWIPC)->path, "");
    CHECK(cl_spec_namespace(&scene.spec, CLONE_NEWNS) == NULL);
}

TEST(maps_of_the_user_namespace_are_kept)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(parse(&scene,
                SPEC_LINUX("'namespaces': [{'type': 'user'}],"
                           "'uidMappings': [{'containerID': 0, 'hostID': 1000, 'size': 1},"
                           "                {'containerID': 1, 'hostID': 100000, 'size': 65535}],"
                           "'gidMappings': [{'containerID': 0, 'hostID': 2000, 'size': 3}]")) == 0);
    CHECK(scene.spec.uid_maps.count == 2 && scene.spec.gid_maps.count == 1);
    CHECK(scene.spec.uid_maps.items[1].inside == 1);
    CHECK(scene.spec.uid_maps.items[1].outside == 100000);
    CHECK(scene.spec.uid_maps.items[1].size == 65535);
    CHECK(scene.spec.gid_maps.items[0].outside == 2000);
}

TEST(clocks_have_offsets)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec_offset *offsets;

    CHECK(parse(&scene, SPEC_LINUX("'namespaces': [{'type': 'time'}], 'timeOffsets': {"
                                   "'monotonic': {'secs': -5, 'nanosecs': 999999999},"
                                   "'boottime': {'secs': 9223372036854775807}}")) == 0);
    offsets = scene.spec.time_offsets.items;
    CHECK(scene.spec.time_offsets.count == 2);
    CHECK(offsets[0].clock == CLOCK_MONOTONIC && offsets[0].seconds == -5);
    CHECK(offsets[0].nanoseconds == 999999999);
    CHECK(offsets[1].clock == CLOCK_BOOTTIME && offsets[1].seconds == INT64_MAX);
}

TEST(devices_are_as_they_stand)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec_device *devices;

    CHECK(parse(&scene,
                SPEC_LINUX("'devices': ["
                           "{'type': 'c', 'path': '/dev/fuse', 'major': 10, 'minor': 229,"
                           " 'fileMode': 8630, 'uid': 1, 'gid': 2},"
                           "{'type': 'b', 'path': '/dev/sda', 'major': 8, 'minor': 0},"
                           "{'type': 'u', 'path': '/dev/u', 'major': 4294967295, 'minor': 7},"
                           "{'type': 'p', 'path': '/dev/p', 'fileMode': 0, 'major': 5}]")) == 0);
    devices = scene.spec.devices.items;
    CHECK(scene.spec.devices.count == 4);
    CHECK_TEXT(devices[0].path, "/dev/fuse");
    CHECK(devices[0].kind == S_IFCHR && devices[0].major == 10 && devices[0].minor == 229);
    CHECK(devices[0].mode == 0666 && devices[0].uid == 1 && devices[0].gid == 2);
    CHECK(devices[1].kind == S_IFBLK && devices[1].mode == 0666 && devices[1].uid == 0);
    CHECK(devices[2].kind == S_IFCHR && devices[2].major == UINT32_MAX);
    CHECK(devices[3].kind == S_IFIFO && devices[3].mode == 0 && devices[3].major == 0);
}

static const struct {
    const char *word;
    uint64_t flags;
} propagations[] = {
    {"private", MS_PRIVATE},
    {"rprivate", MS_PRIVATE | MS_REC},
    {"slave", MS_SLAVE},
    {"rslave", MS_SLAVE | MS_REC},
    {"shared", MS_SHARED},
    {"rshared", MS_SHARED | MS_REC},
    {"unbindable", MS_UNBINDABLE},
    {"runbindable", MS_UNBINDABLE | MS_REC},
    {"", 0},
};

TEST(all_words_of_propagation_are_known)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(propagations); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[128];

        (void)snprintf(text, sizeof(text), SPEC_LINUX("'rootfsPropagation': '%s'"),
                       propagations[i].word);
        CHECK(parse(&scene, text) == 0);
        CHECK(scene.spec.propagation == propagations[i].flags);
        CHECK(cl_spec_has(&scene.spec, CL_SPEC_PROPAGATION) == (propagations[i].flags != 0));
    }
}

TEST(paths_and_texts_are_as_they_stand)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec *spec = &scene.spec;

    CHECK(parse(&scene, SPEC_LINUX("'maskedPaths': ['/a', '/b'], 'readonlyPaths': ['/c'],"
                                   "'cgroupsPath': 'a.slice:b:c', 'mountLabel': 'x:y',"
                                   "'sysctl': {'net.ipv4.ip_forward': '1', 'a': ''},"
                                   "'personality': {'domain': 'LINUX32', 'flags': []}")) == 0);
    CHECK(spec->masked.count == 2 && spec->readonly.count == 1);
    CHECK_TEXT(spec->masked.items[1], "/b");
    CHECK_TEXT(spec->readonly.items[0], "/c");
    CHECK_TEXT(spec->cgroups_path, "a.slice:b:c");
    CHECK_TEXT(spec->mount_label, "x:y");
    CHECK(spec->sysctls.count == 4);
    CHECK_TEXT(spec->sysctls.items[0], "net.ipv4.ip_forward");
    CHECK_TEXT(spec->sysctls.items[1], "1");
    CHECK_TEXT(spec->sysctls.items[3], "");
    CHECK(spec->personality == PER_LINUX32);
    spec_scene_done(&scene);
    CHECK(parse(&scene, SPEC_LINUX("'personality': {'domain': 'LINUX'}")) == 0);
    CHECK(cl_spec_has(spec, CL_SPEC_PERSONALITY) && spec->personality == PER_LINUX);
}

TEST(what_is_absent_or_empty_stays_unset)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const uint64_t least = CL_SPEC_BIT(CL_SPEC_VERSION) | CL_SPEC_BIT(CL_SPEC_ROOT);

    CHECK(parse(&scene,
                SPEC_LINUX("'namespaces': [], 'uidMappings': [], 'gidMappings': null,"
                           "'timeOffsets': {}, 'devices': [], 'cgroupsPath': '', 'sysctl': {},"
                           "'maskedPaths': [], 'readonlyPaths': null, 'mountLabel': '',"
                           "'seccomp': null, 'resources': null, 'intelRdt': null")) == 0);
    CHECK(scene.spec.set == least);
}

TEST(the_groups_of_rdt_are_pairs)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_strlist *rdt = &scene.spec.intel_rdt;

    CHECK(parse(&scene,
                SPEC_LINUX("'intelRdt': {'closID': 'c', 'l3CacheSchema': 'L3:0=f',"
                           "'memBwSchema': 'MB:0=20', 'enableCMT': true, 'enableMBM': false}")) ==
          0);
    CHECK(rdt->count == 10);
    CHECK_TEXT(rdt->items[0], "closID");
    CHECK_TEXT(rdt->items[1], "c");
    CHECK_TEXT(rdt->items[3], "L3:0=f");
    CHECK_TEXT(rdt->items[5], "MB:0=20");
    CHECK_TEXT(rdt->items[7], "true");
    CHECK_TEXT(rdt->items[9], "false");
    spec_scene_done(&scene);
    CHECK(parse(&scene, SPEC_LINUX("'intelRdt': {}")) == 0);
    CHECK(cl_spec_has(&scene.spec, CL_SPEC_INTEL_RDT) && rdt->count == 0);
}

/* Two bundles whose profiles differ in nothing but blanks and order have one. */
TEST(a_profile_is_kept_in_one_form)
{
    static const char *const texts[] = {
        SPEC_LINUX("'seccomp': {'defaultAction': 'A', 'syscalls': [{'b': 18446744073709551615,"
                   "'a': 1}]}"),
        SPEC_LINUX("'seccomp': { 'syscalls' : [ {'a':1, 'b':18446744073709551615} ],"
                   "'defaultAction': 'A' }"),
    };
    static const char wanted[] =
        "{\"defaultAction\":\"A\",\"syscalls\":[{\"a\":1,\"b\":18446744073709551615}]}";

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(parse(&scene, texts[i]) == 0);
        const struct cl_bytes *profile = &scene.spec.profile;
        CHECK(profile->size % 8 == 0 && profile->size >= sizeof(wanted) - 1 &&
              profile->size < sizeof(wanted) + 7);
        CHECK(memcmp(profile->data, wanted, sizeof(wanted) - 1) == 0);
        for (size_t at = sizeof(wanted) - 1; at < profile->size; at++)
            CHECK(((const char *)profile->data)[at] == ' ');
    }
}

#define MAP(rest) "[{'containerID': 0, 'hostID': 0" rest "}]"
#define USER "'namespaces': [{'type': 'user'}], "
#define DEVICE(rest) SPEC_LINUX("'devices': [{" rest "}]")

static const struct spec_refusal wrong[] = {
    {SPEC_CONFIG(", 'linux': []"), "d: linux: expected object, got array"},
    {SPEC_LINUX("'namespaces': {}"), "d: linux.namespaces: expected array, got object"},
    {SPEC_LINUX("'namespaces': [{'path': '/a'}]"), "d: linux.namespaces[0].type: is missing"},
    {SPEC_LINUX("'namespaces': [{'type': 'net'}]"),
     "d: linux.namespaces[0].type: unknown namespace \"net\""},
    {SPEC_LINUX("'namespaces': [{'type': 'pid', 'path': 'a'}]"),
     "d: linux.namespaces[0].path: expected an absolute path, got \"a\""},
    {SPEC_LINUX("'namespaces': [{'type': 'pid'}, {'type': 'pid', 'path': '/a'}]"),
     "d: linux.namespaces[1].type: stands twice"},
    {SPEC_LINUX("'uidMappings': " MAP(", 'size': 1") ""),
     "d: linux.uidMappings: needs a namespace of type user in linux.namespaces"},
    {SPEC_LINUX("'gidMappings': " MAP(", 'size': 1") ""),
     "d: linux.gidMappings: needs a namespace of type user in linux.namespaces"},
    {SPEC_LINUX(USER "'uidMappings': " MAP("") ""), "d: linux.uidMappings[0].size: is missing"},
    {SPEC_LINUX(USER "'uidMappings': [{'hostID': 0, 'size': 1}]"),
     "d: linux.uidMappings[0].containerID: is missing"},
    {SPEC_LINUX(USER "'gidMappings': " MAP(", 'size': 0") ""),
     "d: linux.gidMappings[0].size: expected 1 to 4294967295, got 0"},
    {SPEC_LINUX(USER "'gidMappings': [{'containerID': 4294967295, 'hostID': 0, 'size': 2}]"),
     "d: linux.gidMappings[0].size: goes beyond the last id"},
    {SPEC_LINUX("'timeOffsets': {'monotonic': {'secs': 1}}"),
     "d: linux.timeOffsets: needs a new namespace of type time in linux.namespaces"},
    {SPEC_LINUX("'namespaces': [{'type': 'time', 'path': '/a'}],"
                "'timeOffsets': {'monotonic': {'secs': 1}}"),
     "d: linux.timeOffsets: needs a new namespace of type time in linux.namespaces"},
    {SPEC_LINUX("'timeOffsets': {'realtime': {}}"),
     "d: linux.timeOffsets: unknown clock \"realtime\""},
    {SPEC_LINUX("'timeOffsets': {'monotonic': {'secs': '1'}}"),
     "d: linux.timeOffsets.monotonic.secs: expected integer, got string \"1\""},
    {SPEC_LINUX("'timeOffsets': {'boottime': {'nanosecs': 1000000000}}"),
     "d: linux.timeOffsets.boottime.nanosecs: expected 0 to 999999999, got 1000000000"},
    {DEVICE("'path': '/a', 'major': 1, 'minor': 1"), "d: linux.devices[0].type: is missing"},
    {DEVICE("'type': 'c', 'major': 1, 'minor': 1"), "d: linux.devices[0].path: is missing"},
    {DEVICE("'type': 'c', 'path': '/a', 'minor': 1"), "d: linux.devices[0].major: is missing"},
    {DEVICE("'type': 'b', 'path': '/a', 'major': 1"), "d: linux.devices[0].minor: is missing"},
    {DEVICE("'type': 'a', 'path': '/a', 'major': 1, 'minor': 1"),
     "d: linux.devices[0].type: unknown type \"a\""},
    {DEVICE("'type': 'c', 'path': 'a', 'major': 1, 'minor': 1"),
     "d: linux.devices[0].path: expected an absolute path, got \"a\""},
    {DEVICE("'type': 'c', 'path': '/a', 'major': -1, 'minor': 1"),
     "d: linux.devices[0].major: expected 0 to 4294967295, got -1"},
    {DEVICE("'type': 'c', 'path': '/a', 'major': 1, 'minor': '1'"),
     "d: linux.devices[0].minor: expected integer, got string \"1\""},
    {DEVICE("'type': 'p', 'path': '/a', 'fileMode': '0666'"),
     "d: linux.devices[0].fileMode: expected integer, got string \"0666\""},
    {DEVICE("'type': 'p', 'path': '/a', 'uid': 4294967295"),
     "d: linux.devices[0].uid: expected 0 to 4294967294, got 4294967295"},
    {DEVICE("'type': 'p', 'path': '/a', 'gid': -1"),
     "d: linux.devices[0].gid: expected 0 to 4294967294, got -1"},
    {SPEC_LINUX("'cgroupsPath': 1"), "d: linux.cgroupsPath: expected string, got integer"},
    {SPEC_LINUX("'sysctl': {'a': 1}"), "d: linux.sysctl.a: expected string, got integer"},
    {SPEC_LINUX("'sysctl': {'': '1'}"), "d: linux.sysctl: has an empty key"},
    {SPEC_LINUX("'seccomp': 'x'"), "d: linux.seccomp: expected object, got string \"x\""},
    {SPEC_LINUX("'rootfsPropagation': 'shard'"),
     "d: linux.rootfsPropagation: unknown propagation \"shard\" (did you mean shared?)"},
    {SPEC_LINUX("'maskedPaths': ['/a', 'b']"),
     "d: linux.maskedPaths[1]: expected an absolute path, got \"b\""},
    {SPEC_LINUX("'readonlyPaths': ['']"),
     "d: linux.readonlyPaths[0]: expected an absolute path, got \"\""},
    {SPEC_LINUX("'mountLabel': []"), "d: linux.mountLabel: expected string, got array"},
    {SPEC_LINUX("'intelRdt': {'closID': 1}"),
     "d: linux.intelRdt.closID: expected string, got integer"},
    {SPEC_LINUX("'intelRdt': {'enableCMT': 'yes'}"),
     "d: linux.intelRdt.enableCMT: expected boolean, got string \"yes\""},
    {SPEC_LINUX("'personality': {}"), "d: linux.personality.domain: is missing"},
    {SPEC_LINUX("'personality': {'domain': 'BSD'}"),
     "d: linux.personality.domain: unknown domain \"BSD\""},
    {SPEC_LINUX("'personality': {'domain': 'LINUX', 'flags': ['X']}"),
     "d: linux.personality.flags: there are no flags of personality"},
};

TEST(what_can_not_be_is_told_where_and_why)
{
    spec_check_refusals(CL_SPEC_CONFIG, wrong, CL_ARRAY_SIZE(wrong));
}

TEST(what_nobody_knows_is_told)
{
    spec_check_warning(CL_SPEC_CONFIG, SPEC_LINUX("'netDevices': {}"),
                       "linux.netDevices: unknown property; passed over");
    spec_check_warning(CL_SPEC_CONFIG, SPEC_LINUX("'namespaces': [{'type': 'pid', 'x': 1}]"),
                       "linux.namespaces[0].x: unknown property; passed over");
    spec_check_warning(CL_SPEC_CONFIG, SPEC_LINUX("'seccomp': {'whatever': 1}"), NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(all_namespaces_are_known),
        ROW(a_namespace_without_a_path_is_a_new_one),
        ROW(maps_of_the_user_namespace_are_kept),
        ROW(clocks_have_offsets),
        ROW(devices_are_as_they_stand),
        ROW(all_words_of_propagation_are_known),
        ROW(paths_and_texts_are_as_they_stand),
        ROW(what_is_absent_or_empty_stays_unset),
        ROW(the_groups_of_rdt_are_pairs),
        ROW(a_profile_is_kept_in_one_form),
        ROW(what_can_not_be_is_told_where_and_why),
        ROW(what_nobody_knows_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
