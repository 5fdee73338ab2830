#include "helpers/plan/arch.h"

#include <ctype.h>
#include <errno.h>
#include <seccomp.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_ARCH "amd64"
#elif defined(__aarch64__)
#define NATIVE_ARCH "arm64"
#else
#error "name this architecture as Docker's profiles do"
#endif

/* The OCI runtime specification's names (config-linux.md, "Seccomp"), and how Docker's
 * includes and excludes spell the same. NULL: it has no name there. */
static const struct {
    const char *scmp;
    const char *docker;
} rows[] = {
    {"SCMP_ARCH_X86", "x86"},
    {"SCMP_ARCH_X86_64", "amd64"},
    {"SCMP_ARCH_X32", "x32"},
    {"SCMP_ARCH_ARM", "arm"},
    {"SCMP_ARCH_AARCH64", "arm64"},
    {"SCMP_ARCH_MIPS", "mips"},
    {"SCMP_ARCH_MIPS64", "mips64"},
    {"SCMP_ARCH_MIPS64N32", "mips64n32"},
    {"SCMP_ARCH_MIPSEL", "mipsel"},
    {"SCMP_ARCH_MIPSEL64", "mipsel64"},
    {"SCMP_ARCH_MIPSEL64N32", "mipsel64n32"},
    {"SCMP_ARCH_PPC", "ppc"},
    {"SCMP_ARCH_PPC64", "ppc64"},
    {"SCMP_ARCH_PPC64LE", "ppc64le"},
    {"SCMP_ARCH_S390", "s390"},
    {"SCMP_ARCH_S390X", "s390x"},
    {"SCMP_ARCH_PARISC", "parisc"},
    {"SCMP_ARCH_PARISC64", "parisc64"},
    {"SCMP_ARCH_RISCV64", "riscv64"},
    {"SCMP_ARCH_LOONGARCH64", "loong64"},
    {"SCMP_ARCH_M68K", "m68k"},
    {"SCMP_ARCH_SH", "sh"},
    {"SCMP_ARCH_SHEB", "sheb"},
    /* Go's words for the same machines, which some profiles have in conditions. */
    {NULL, "386"},
    {NULL, "mipsle"},
    {NULL, "mips64le"},
    {NULL, "loongarch64"},
};

int cl_arch_has_native(const struct cl_strlist *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], NATIVE_ARCH) == 0)
            return 1;
    }
    return 0;
}

static int refuse(const char *name, struct cl_error *err)
{
    return cl_refuse(err, EINVAL, "unknown architecture \"%.60s\"", name);
}

int cl_arch_check_scmp_name(const char *name, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (rows[i].scmp != NULL && strcmp(rows[i].scmp, name) == 0)
            return 0;
    }
    return refuse(name, err);
}

static int check_docker_name(const char *name, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].docker, name) == 0)
            return 0;
    }
    return refuse(name, err);
}

static int check_each(const struct cl_strlist *names, const char *key,
                      int (*check)(const char *name, struct cl_error *err), struct cl_error *err)
{
    for (size_t i = 0; i < names->count; i++) {
        if (check(names->items[i], err) < 0)
            return cl_prefix(err, "%s[%zu]", key, i);
    }
    return 0;
}

int cl_arch_check_scmp(const struct cl_strlist *names, const char *key, struct cl_error *err)
{
    return check_each(names, key, cl_arch_check_scmp_name, err);
}

int cl_arch_check_docker(const struct cl_strlist *names, const char *key, struct cl_error *err)
{
    return check_each(names, key, check_docker_name, err);
}

/* Its names are the specification's, less what they begin with, in small letters. */
uint32_t cl_arch_token(const char *name)
{
    static const char prefix[] = "SCMP_ARCH_";
    char own[32] = "";

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
        return 0;
    name += sizeof(prefix) - 1;
    for (size_t i = 0; name[i] != '\0' && i < sizeof(own) - 1; i++)
        own[i] = (char)tolower((unsigned char)name[i]);
    return seccomp_arch_resolve_name(own);
}
