#include "module/key.h"

#include <string.h>
#include <sys/auxv.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "policy/wasm_version.h"

enum { KEY_VERSION = 3, MAX_WORDS = 16 };

/* Each row by name and as it is written. */
static const char settings[] =
#define CL_WASM_SAME(setting, value, why) #setting "=" #value ";"
#define CL_WASM_COMPILER(setting, value, why) #setting "=" #value ";"
#include "policy/wasm.def"
    ;

#if defined(__x86_64__)

/* Whose registers the kernel saves: without that the compiler has no AVX (Intel's manual, volume 1,
 * 13.3, "Enabling the XSAVE feature set"). */
static uint32_t saved_state(uint32_t leaf1_ecx)
{
    uint32_t low = 0;
    uint32_t high = 0;

    if ((leaf1_ecx & bit_OSXSAVE) != 0)
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* The leaves of CPUID that are features; no register that tells which processor of several this is.
 * On a virtual machine each costs some 0.01 ms. */
static size_t processor_features(uint32_t words[MAX_WORDS])
{
    uint32_t eax = 0;
    uint32_t ebx = 0;
    uint32_t ecx = 0;
    uint32_t edx = 0;
    size_t count = 0;

    __cpuid(1, eax, ebx, ecx, edx);
    words[count++] = ecx;
    words[count++] = edx;
    words[count++] = saved_state(ecx);
    ebx = ecx = edx = 0;
    if (__get_cpuid_max(0, NULL) >= 7)
        __cpuid_count(7, 0, eax, ebx, ecx, edx);
    words[count++] = ebx;
    words[count++] = ecx;
    words[count++] = edx;
    __cpuid(0x80000001, eax, ebx, ecx, edx); /* each processor of 64 bits has this one */
    words[count++] = ecx;
    words[count++] = edx;
    return count;
}

#else

static size_t processor_features(uint32_t words[MAX_WORDS])
{
    const uint64_t features[] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};

    memcpy(words, features, sizeof(features));
    return sizeof(features) / sizeof(*words);
}

#endif

/* With its size, so that no two lists look the same. */
static void add(struct cl_sha256 *hash, const void *data, size_t size)
{
    const uint64_t number = size;

    cl_sha256_add(hash, &number, sizeof(number));
    cl_sha256_add(hash, data, size);
}

void cl_module_key_of(const struct cl_digest *module, enum cl_module_use use,
                      struct cl_module_key *ret)
{
    const uint64_t version = KEY_VERSION;
    const uint8_t for_what = (uint8_t)use;
    uint32_t words[MAX_WORDS] = {0};
    size_t count = processor_features(words);
    struct cl_sha256 hash;

    cl_sha256_init(&hash);
    add(&hash, &version, sizeof(version));
    add(&hash, CL_WASM_ENGINE, sizeof(CL_WASM_ENGINE));
    add(&hash, settings, sizeof(settings));
    add(&hash, &for_what, sizeof(for_what));
    add(&hash, words, count * sizeof(*words));
    add(&hash, module->hex, strlen(module->hex));
    cl_sha256_final_hex(&hash, ret->hex);
}
