/* test_spec_resources.c - limits of an OCI bundle: the item that each becomes, and what is
 * refused. */
#include "spec_scene.h"

static const enum cl_spec_kind kind = CL_SPEC_RESOURCES_OF;

/* One property, and its item. */
static const struct {
    const char *text;
    struct cl_spec_resource item;
} rows[] = {
    {"{'memory': {'limit': -1}}", {CL_RESOURCE_MEMORY_LIMIT, 0, 0, -1, "", ""}},
    {"{'memory': {'limit': 9223372036854775807}}",
     {CL_RESOURCE_MEMORY_LIMIT, 0, 0, INT64_MAX, "", ""}},
    {"{'memory': {'reservation': 1}}", {CL_RESOURCE_MEMORY_RESERVATION, 0, 0, 1, "", ""}},
    {"{'memory': {'swap': -1}}", {CL_RESOURCE_MEMORY_SWAP, 0, 0, -1, "", ""}},
    {"{'memory': {'kernelTCP': 5}}", {CL_RESOURCE_MEMORY_KERNEL_TCP, 0, 0, 5, "", ""}},
    {"{'memory': {'swappiness': 100}}", {CL_RESOURCE_MEMORY_SWAPPINESS, 0, 0, 100, "", ""}},
    {"{'memory': {'disableOOMKiller': false}}", {CL_RESOURCE_MEMORY_NO_OOM, 0, 0, 0, "", ""}},
    {"{'memory': {'useHierarchy': true}}", {CL_RESOURCE_MEMORY_HIERARCHY, 0, 0, 1, "", ""}},
    {"{'memory': {'checkBeforeUpdate': true}}", {CL_RESOURCE_MEMORY_CHECK, 0, 0, 1, "", ""}},
    {"{'cpu': {'shares': 18446744073709551615}}",
     {CL_RESOURCE_CPU_SHARES, 0, 0, INT64_MAX, "", ""}},
    {"{'cpu': {'quota': -5}}", {CL_RESOURCE_CPU_QUOTA, 0, 0, -5, "", ""}},
    {"{'cpu': {'burst': 0}}", {CL_RESOURCE_CPU_BURST, 0, 0, 0, "", ""}},
    {"{'cpu': {'period': 100000}}", {CL_RESOURCE_CPU_PERIOD, 0, 0, 100000, "", ""}},
    {"{'cpu': {'realtimeRuntime': -1}}", {CL_RESOURCE_CPU_RT_RUNTIME, 0, 0, -1, "", ""}},
    {"{'cpu': {'realtimePeriod': 7}}", {CL_RESOURCE_CPU_RT_PERIOD, 0, 0, 7, "", ""}},
    {"{'cpu': {'idle': 1}}", {CL_RESOURCE_CPU_IDLE, 0, 0, 1, "", ""}},
    {"{'cpu': {'cpus': '0-3,7'}}", {CL_RESOURCE_CPUSET_CPUS, 0, 0, 0, "", "0-3,7"}},
    {"{'cpu': {'mems': '0'}}", {CL_RESOURCE_CPUSET_MEMS, 0, 0, 0, "", "0"}},
    {"{'pids': {'limit': 32771}}", {CL_RESOURCE_PIDS_LIMIT, 0, 0, 32771, "", ""}},
    {"{'pids': {'limit': -9223372036854775808}}",
     {CL_RESOURCE_PIDS_LIMIT, 0, 0, INT64_MIN, "", ""}},
    {"{'blockIO': {'weight': 10}}", {CL_RESOURCE_IO_WEIGHT, 0, 0, 10, "", ""}},
    {"{'blockIO': {'weight': 0}}", {CL_RESOURCE_IO_WEIGHT, 0, 0, 0, "", ""}},
    {"{'blockIO': {'leafWeight': 1000}}", {CL_RESOURCE_IO_LEAF_WEIGHT, 0, 0, 1000, "", ""}},
    {"{'blockIO': {'weightDevice': [{'major': 8, 'minor': 16, 'weight': 500}]}}",
     {CL_RESOURCE_IO_DEVICE_WEIGHT, 8, 16, 500, "", ""}},
    {"{'blockIO': {'weightDevice': [{'major': 8, 'minor': 0, 'leafWeight': 300}]}}",
     {CL_RESOURCE_IO_DEVICE_LEAF_WEIGHT, 8, 0, 300, "", ""}},
    {"{'blockIO': {'throttleReadBpsDevice': [{'major': 1, 'minor': 2, 'rate': 600}]}}",
     {CL_RESOURCE_IO_READ_BYTES, 1, 2, 600, "", ""}},
    {"{'blockIO': {'throttleWriteBpsDevice': [{'major': 1, 'minor': 2, 'rate': 601}]}}",
     {CL_RESOURCE_IO_WRITE_BYTES, 1, 2, 601, "", ""}},
    {"{'blockIO': {'throttleReadIOPSDevice': [{'major': 1, 'minor': 2, 'rate': 602}]}}",
     {CL_RESOURCE_IO_READ_OPS, 1, 2, 602, "", ""}},
    {"{'blockIO': {'throttleWriteIOPSDevice':"
     " [{'major': 4294967295, 'minor': 2, 'rate': 18446744073709551615}]}}",
     {CL_RESOURCE_IO_WRITE_OPS, UINT32_MAX, 2, INT64_MAX, "", ""}},
    {"{'hugepageLimits': [{'pageSize': '2MB', 'limit': 209715200}]}",
     {CL_RESOURCE_HUGE_PAGES, 0, 0, 209715200, "2MB", ""}},
    {"{'hugepageLimits': [{'pageSize': '64KB', 'limit': 0}]}",
     {CL_RESOURCE_HUGE_PAGES, 0, 0, 0, "64KB", ""}},
    {"{'network': {'classID': 1048577}}", {CL_RESOURCE_NET_CLASS, 0, 0, 1048577, "", ""}},
    {"{'network': {'priorities': [{'name': 'eth0', 'priority': 500}]}}",
     {CL_RESOURCE_NET_PRIORITY, 0, 0, 500, "eth0", ""}},
    {"{'rdma': {'mlx5_1': {'hcaHandles': 3}}}", {CL_RESOURCE_RDMA_HANDLES, 0, 0, 3, "mlx5_1", ""}},
    {"{'rdma': {'mlx4_0': {'hcaObjects': 9}}}", {CL_RESOURCE_RDMA_OBJECTS, 0, 0, 9, "mlx4_0", ""}},
    {"{'unified': {'io.max': '8:0 rbps=1\\n8:16 wiops=2'}}",
     {CL_RESOURCE_UNIFIED, 0, 0, 0, "io.max", "8:0 rbps=1\n8:16 wiops=2"}},
};

static void check_item(const struct cl_spec_resource *got, const struct cl_spec_resource *wanted)
{
    CHECK(got->what == wanted->what && got->value == wanted->value);
    CHECK(got->major == wanted->major && got->minor == wanted->minor);
    CHECK_TEXT(got->name, wanted->name);
    CHECK_TEXT(got->text, wanted->text);
}

TEST(each_property_becomes_its_item)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(spec_parse(&scene, kind, rows[i].text) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(scene.spec.set == CL_SPEC_BIT(CL_SPEC_RESOURCES) && scene.spec.resources.count == 1);
        if (scene.spec.resources.count == 1)
            check_item(&scene.spec.resources.items[0], &rows[i].item);
    }
}

/* A row that no property fills would be dead: kernel memory is, and that is told. */
TEST(each_resource_has_a_property)
{
    for (uint32_t what = 0; what < CL_RESOURCE_COUNT; what++) {
        int found = what == CL_RESOURCE_MEMORY_KERNEL;

        for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
            found |= rows[i].item.what == what;
        CHECK(found);
        if (!found)
            printf("# %s\n", cl_resource_path(what));
    }
    spec_check_warning(kind, "{'memory': {'kernel': -1}}",
                       "memory.kernel: has no limit of its own any more");
}

TEST(many_are_kept_together)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(spec_parse(&scene, kind,
                     "{'memory': {'limit': 1, 'swap': 2, 'kernel': 3}, 'cpu': {'cpus': '',"
                     " 'shares': 4}, 'pids': {}, 'blockIO': {'weightDevice':"
                     " [{'major': 8, 'minor': 0, 'weight': 10, 'leafWeight': 20},"
                     "  {'major': 8, 'minor': 1, 'weight': 30}]},"
                     " 'rdma': {'a': {'hcaHandles': 1, 'hcaObjects': 2}}, 'unified': {},"
                     " 'network': {}, 'hugepageLimits': []}") == 0);
    CHECK(scene.spec.resources.count == 8);
    spec_scene_done(&scene);
    CHECK(spec_parse(&scene, kind, "{}") == 0);
    CHECK(cl_spec_has(&scene.spec, CL_SPEC_RESOURCES) && scene.spec.resources.count == 0);
}

#define RULES(list) SPEC_LINUX("'resources': {'devices': [" list "]}")

static const struct {
    const char *text;
    struct cl_spec_rule rule;
} rules[] = {
    {RULES("{'allow': false, 'access': 'rwm'}"), {0, 'a', 7, -1, -1}},
    {RULES("{'allow': true}"), {1, 'a', 7, -1, -1}},
    {RULES("{'allow': true, 'type': '', 'access': ''}"), {1, 'a', 7, -1, -1}},
    {RULES("{'allow': true, 'type': 'a', 'access': 'm'}"), {1, 'a', 4, -1, -1}},
    {RULES("{'allow': true, 'type': 'c', 'major': 10, 'minor': 229, 'access': 'rw'}"),
     {1, 'c', 3, 10, 229}},
    {RULES("{'allow': true, 'type': 'b', 'major': 8, 'minor': -1, 'access': 'r'}"),
     {1, 'b', 1, 8, -1}},
    {RULES("{'allow': true, 'type': 'c', 'major': -1, 'minor': 4294967295, 'access': 'w'}"),
     {1, 'c', 2, -1, UINT32_MAX}},
};

TEST(rules_for_devices_are_as_they_stand)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rules); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(spec_parse(&scene, CL_SPEC_CONFIG, rules[i].text) == 0);
        CHECK(scene.spec.device_rules.count == 1);
        const struct cl_spec_rule *rule = scene.spec.device_rules.items;
        CHECK(rule->allow == rules[i].rule.allow && rule->kind == rules[i].rule.kind);
        CHECK(rule->access == rules[i].rule.access);
        CHECK(rule->major == rules[i].rule.major && rule->minor == rules[i].rule.minor);
    }
}

TEST(an_update_has_no_rules_for_devices)
{
    spec_check_warning(kind, "{'devices': [{'allow': false}]}",
                       "devices: rules can't be updated; passed over");
    spec_check_warning(kind, "{'devices': []}", NULL);
}

static const struct spec_refusal wrong[] = {
    {"[]", "d: expected object, got array"},
    {"{'memory': 5}", "d: memory: expected object, got integer"},
    {"{'memory': {'limit': -2}}", "d: memory.limit: expected -1 to 9223372036854775807, got -2"},
    {"{'memory': {'limit': '1g'}}", "d: memory.limit: expected integer, got string \"1g\""},
    {"{'memory': {'limit': 9223372036854775808}}",
     "d: memory.limit: expected -1 to 9223372036854775807, got 9223372036854775808"},
    {"{'memory': {'reservation': true}}", "d: memory.reservation: expected integer, got boolean"},
    {"{'memory': {'swap': 1.5}}", "d: memory.swap: expected integer, got fraction"},
    {"{'memory': {'kernel': ''}}", "d: memory.kernel: expected integer, got string \"\""},
    {"{'memory': {'kernelTCP': -7}}",
     "d: memory.kernelTCP: expected -1 to 9223372036854775807, got -7"},
    {"{'memory': {'swappiness': 101}}", "d: memory.swappiness: expected 0 to 100, got 101"},
    {"{'memory': {'disableOOMKiller': 1}}",
     "d: memory.disableOOMKiller: expected boolean, got integer"},
    {"{'memory': {'useHierarchy': 'no'}}",
     "d: memory.useHierarchy: expected boolean, got string \"no\""},
    {"{'memory': {'checkBeforeUpdate': []}}",
     "d: memory.checkBeforeUpdate: expected boolean, got array"},
    {"{'cpu': {'shares': -1}}", "d: cpu.shares: expected 0 to 18446744073709551615, got -1"},
    {"{'cpu': {'quota': '1'}}", "d: cpu.quota: expected integer, got string \"1\""},
    {"{'cpu': {'burst': -1}}", "d: cpu.burst: expected 0 to 18446744073709551615, got -1"},
    {"{'cpu': {'period': false}}", "d: cpu.period: expected integer, got boolean"},
    {"{'cpu': {'realtimeRuntime': {}}}", "d: cpu.realtimeRuntime: expected integer, got object"},
    {"{'cpu': {'realtimePeriod': -1}}",
     "d: cpu.realtimePeriod: expected 0 to 18446744073709551615, got -1"},
    {"{'cpu': {'idle': 2}}", "d: cpu.idle: expected 0 to 1, got 2"},
    {"{'cpu': {'cpus': 3}}", "d: cpu.cpus: expected string, got integer"},
    {"{'cpu': {'mems': [0]}}", "d: cpu.mems: expected string, got array"},
    {"{'pids': 5}", "d: pids: expected object, got integer"},
    {"{'pids': {'limit': '5'}}", "d: pids.limit: expected integer, got string \"5\""},
    {"{'blockIO': {'weight': 9}}", "d: blockIO.weight: expected 10 to 1000, got 9"},
    {"{'blockIO': {'weight': 1001}}", "d: blockIO.weight: expected 0 to 1000, got 1001"},
    {"{'blockIO': {'leafWeight': 1}}", "d: blockIO.leafWeight: expected 10 to 1000, got 1"},
    {"{'blockIO': {'weightDevice': [{'minor': 0, 'weight': 10}]}}",
     "d: blockIO.weightDevice[0].major: is missing"},
    {"{'blockIO': {'weightDevice': [{'major': 0, 'minor': 0, 'weight': 5}]}}",
     "d: blockIO.weightDevice[0].weight: expected 10 to 1000, got 5"},
    {"{'blockIO': {'weightDevice': [{'major': 0, 'minor': 0}]}}",
     "d: blockIO.weightDevice[0]: has neither weight nor leafWeight"},
    {"{'blockIO': {'throttleReadBpsDevice': [{'major': 0, 'minor': 0}]}}",
     "d: blockIO.throttleReadBpsDevice[0].rate: is missing"},
    {"{'blockIO': {'throttleWriteBpsDevice': [{'major': -1, 'minor': 0, 'rate': 1}]}}",
     "d: blockIO.throttleWriteBpsDevice[0].major: expected 0 to 4294967295, got -1"},
    {"{'blockIO': {'throttleReadIOPSDevice': {}}}",
     "d: blockIO.throttleReadIOPSDevice: expected array, got object"},
    {"{'blockIO': {'throttleWriteIOPSDevice': [{'major': 0, 'rate': 1}]}}",
     "d: blockIO.throttleWriteIOPSDevice[0].minor: is missing"},
    {"{'hugepageLimits': [{'limit': 1}]}", "d: hugepageLimits[0].pageSize: is missing"},
    {"{'hugepageLimits': [{'pageSize': '2MB'}]}", "d: hugepageLimits[0].limit: is missing"},
    {"{'hugepageLimits': [{'pageSize': '../2MB', 'limit': 1}]}",
     "d: hugepageLimits[0].pageSize: expected a size like 64KB, 2MB or 1GB, got \"../2MB\""},
    {"{'hugepageLimits': [{'pageSize': '2M', 'limit': 1}]}",
     "d: hugepageLimits[0].pageSize: expected a size like 64KB, 2MB or 1GB, got \"2M\""},
    {"{'hugepageLimits': [{'pageSize': '02MB', 'limit': 1}]}",
     "d: hugepageLimits[0].pageSize: expected a size like 64KB, 2MB or 1GB, got \"02MB\""},
    {"{'hugepageLimits': [{'pageSize': '2', 'limit': 1}]}",
     "d: hugepageLimits[0].pageSize: expected a size like 64KB, 2MB or 1GB, got \"2\""},
    {"{'network': {'classID': 4294967296}}",
     "d: network.classID: expected 0 to 4294967295, got 4294967296"},
    {"{'network': {'priorities': [{'priority': 1}]}}", "d: network.priorities[0].name: is missing"},
    {"{'network': {'priorities': [{'name': '', 'priority': 1}]}}",
     "d: network.priorities[0].name: is empty"},
    {"{'network': {'priorities': [{'name': 'a'}]}}",
     "d: network.priorities[0].priority: is missing"},
    {"{'rdma': {'a': {}}}", "d: rdma.a: has neither hcaHandles nor hcaObjects"},
    {"{'rdma': {'a': {'hcaHandles': -1}}}",
     "d: rdma.a.hcaHandles: expected 0 to 4294967295, got -1"},
    {"{'rdma': []}", "d: rdma: expected object, got array"},
    {"{'unified': {'memory.max': 5}}", "d: unified.memory.max: expected string, got integer"},
    {"{'unified': {'a/b': ''}}", "d: unified: \"a/b\" is no file of a cgroup"},
    {"{'unified': {'..': ''}}", "d: unified: \"..\" is no file of a cgroup"},
    {"{'unified': {'': ''}}", "d: unified: \"\" is no file of a cgroup"},
};

TEST(what_can_not_be_is_told_where_and_why)
{
    spec_check_refusals(kind, wrong, CL_ARRAY_SIZE(wrong));
}

static const struct spec_refusal in_bundle[] = {
    {RULES("{'type': 'c'}"), "d: linux.resources.devices[0].allow: is missing"},
    {RULES("{'allow': 1}"), "d: linux.resources.devices[0].allow: expected boolean, got integer"},
    {RULES("{'allow': true, 'type': 'p'}"),
     "d: linux.resources.devices[0].type: unknown type \"p\""},
    {RULES("{'allow': true, 'major': -2}"),
     "d: linux.resources.devices[0].major: expected -1 to 4294967295, got -2"},
    {RULES("{'allow': true, 'minor': 4294967296}"),
     "d: linux.resources.devices[0].minor: expected -1 to 4294967295, got 4294967296"},
    {RULES("{'allow': true, 'access': 'rx'}"),
     "d: linux.resources.devices[0].access: expected some of r, w and m, got \"rx\""},
    {SPEC_LINUX("'resources': {'unified': {'/': ''}}"),
     "d: linux.resources.unified: \"/\" is no file of a cgroup"},
    {SPEC_LINUX("'resources': {'rdma': {'a': null}}"),
     "d: linux.resources.rdma.a: has neither hcaHandles nor hcaObjects"},
};

TEST(in_a_bundle_paths_begin_with_linux)
{
    spec_check_refusals(CL_SPEC_CONFIG, in_bundle, CL_ARRAY_SIZE(in_bundle));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_property_becomes_its_item),
        ROW(each_resource_has_a_property),
        ROW(many_are_kept_together),
        ROW(rules_for_devices_are_as_they_stand),
        ROW(an_update_has_no_rules_for_devices),
        ROW(what_can_not_be_is_told_where_and_why),
        ROW(in_a_bundle_paths_begin_with_linux),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
