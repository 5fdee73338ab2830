#include "helpers/fetch/trust.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

enum { BUNDLE_MAX = 8 << 20, AUTHORITY_MAX = 1 << 20, HASH_SIZE = 8 };

/* Each distribution's, in the order of how many there are of it. */
static const char *const directories[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                      "/etc/ssl/cert.pem"};

void cl_trust_init(struct cl_trust *ret)
{
    *ret = (struct cl_trust){.both = CL_BUF_INIT(BUNDLE_MAX + AUTHORITY_MAX)};
}

void cl_trust_done(struct cl_trust *trust)
{
    cl_buf_done(&trust->both);
}

/* "4042bcee.0", as openssl rehash makes them */
static int is_hashed(const char *name)
{
    return strspn(name, "0123456789abcdef") == HASH_SIZE && name[HASH_SIZE] == '.' &&
           name[HASH_SIZE + 1] == '0';
}

static int has_hashes(const char *path)
{
    DIR *dir = opendir(path);
    int found = 0;

    if (dir == NULL)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL && !found; entry = readdir(dir))
        found = is_hashed(entry->d_name);
    (void)closedir(dir); /* only read */
    return found;
}

static int read_bundle(struct cl_trust *trust, const char *path)
{
    struct cl_error err = {0};
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);

    if (fd < 0 || cl_check_regular(fd, path, BUNDLE_MAX, &err) < 0)
        return -1;
    return cl_read_all(fd, path, &trust->both, &err);
}

static void look(struct cl_trust *trust)
{
    trust->looked = 1;
    for (size_t i = 0; i < CL_ARRAY_SIZE(directories) && trust->directory == NULL; i++) {
        if (has_hashes(directories[i]))
            trust->directory = directories[i];
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(bundles) && trust->directory == NULL; i++) {
        if (read_bundle(trust, bundles[i]) >= 0) {
            trust->bundle = bundles[i];
            trust->bundle_size = trust->both.size;
            return;
        }
        cl_buf_done(&trust->both);
    }
}

/* curl takes the text instead of a bundle, but with a directory. */
static int trust_text(struct cl_trust *trust, CURL *easy, const char *authority,
                      struct cl_error *err)
{
    struct cl_buf *both = &trust->both;

    both->size = trust->bundle_size;
    if (cl_buf_add_str(both, "\n") < 0 || cl_buf_add_str(both, authority) < 0)
        return cl_refuse(err, E2BIG, "the certificate authority is larger than %d bytes",
                         AUTHORITY_MAX);
    struct curl_blob blob = {both->data, both->size, CURL_BLOB_COPY};
    return curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK ? 0 : cl_fail_memory(err);
}

int cl_trust_apply(struct cl_trust *trust, CURL *easy, const char *authority, struct cl_error *err)
{
    if (!trust->looked)
        look(trust);
    if (trust->directory == NULL && trust->bundle == NULL && authority[0] == '\0')
        return cl_refuse(err, EKEYREJECTED,
                         "no certificate authorities can be read on this host (%s, %s): install "
                         "its package of them, ca-certificates",
                         directories[0], bundles[1]);
    /* Without these, curl would read the places that it was built with. */
    if (curl_easy_setopt(easy, CURLOPT_CAPATH, trust->directory) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_CAINFO, trust->bundle) != CURLE_OK)
        return cl_fail_memory(err);
    return authority[0] == '\0' ? 0 : trust_text(trust, easy, authority, err);
}
