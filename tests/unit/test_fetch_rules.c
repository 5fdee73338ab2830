/* test_fetch_rules.c - hosts: what is one place, where redirects may lead, who may know the
 * credentials. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "check.h"
#include "helpers/fetch/rules.h"
#include "helpers/fetch/url.h"

static struct cl_error err;

static int parse(const char *text, struct cl_url *ret)
{
    *ret = (struct cl_url){0};
    return cl_url_parse(text, NULL, "this", ret, &err);
}

/* --- URLs ------------------------------------------------------------------ */

TEST(takes_a_url_apart)
{
    static const struct {
        const char *text;
        const char *host;
        const char *place;
        int tls;
        unsigned int port;
    } rows[] = {
        {"https://registry.example", "registry.example", "registry.example", 1, 443},
        {"http://registry.example/v2/", "registry.example", "registry.example", 0, 80},
        {"https://Registry.EXAMPLE:5000", "registry.example", "registry.example:5000", 1, 5000},
        {"HTTPS://a:443/x?y=z", "a", "a", 1, 443},
        {"http://a:443", "a", "a:443", 0, 443},
        {"https://[::1]:5000/v2/", "[::1]", "[::1]:5000", 1, 5000},
        {"http://127.0.0.1:80", "127.0.0.1", "127.0.0.1", 0, 80},
        {"http://0x7f.1/", "127.0.0.1", "127.0.0.1", 0, 80}, /* as curl connects to it */
        {"http://2130706433/", "127.0.0.1", "127.0.0.1", 0, 80},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_URL struct cl_url url = {0};

        CHECK(parse(rows[i].text, &url) == 0);
        CHECK_TEXT(url.host, rows[i].host);
        CHECK_TEXT(url.place, rows[i].place);
        CHECK(url.tls == rows[i].tls && url.port == rows[i].port);
    }
}

TEST(refuses_urls_that_are_not_for_us)
{
    static const char *const bad[] = {
        "",
        "registry.example",
        "file:///etc/passwd",
        "ftp://registry.example/",
        "gopher://registry.example/",
        "https://user@registry.example/",
        "https://user:secret@registry.example/",
        "https://registry.example:0/",
        "https://registry.example:65536/",
        "https://regist\xc3\xa9r.example/",
        "https://",
        "/v2/",
        "http://a b/",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CL_CLEANUP_URL struct cl_url url = {0};

        CHECK(parse(bad[i], &url) < 0 && url.text == NULL);
        CHECK_HAS(err.msg, "this ");
        CHECK(strstr(err.msg, "secret") == NULL);
    }
}

TEST(follows_relative_references)
{
    CL_CLEANUP_URL struct cl_url base = {0};
    static const char *const rows[][2] = {
        {"/x?y", "https://a.example:5000/x?y"},        {"c", "https://a.example:5000/v2/b/c"},
        {"//b.example/c", "https://b.example/c"},      {"http://b.example/c", "http://b.example/c"},
        {"?z=1", "https://a.example:5000/v2/b/x?z=1"},
    };

    CHECK(parse("https://a.example:5000/v2/b/x", &base) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_URL struct cl_url url = {0};

        CHECK(cl_url_parse(rows[i][0], &base, "a redirect's target", &url, &err) == 0);
        CHECK_TEXT(url.text, rows[i][1]);
    }
    CL_CLEANUP_URL struct cl_url url = {0};
    CHECK(cl_url_parse("file:///etc/passwd", &base, "it", &url, &err) == -EPROTONOSUPPORT);
    CHECK(cl_url_parse("//u:p@b.example/", &base, "it", &url, &err) == -EINVAL);
}

TEST(escapes_what_is_added_to_a_query)
{
    CL_CLEANUP_URL struct cl_url url = {0};

    CHECK(parse("https://a/token?x=1", &url) == 0);
    CHECK(cl_url_add_query(&url, "service", "a b&c=d", &err) == 0);
    CHECK(cl_url_add_query(&url, "scope", "repository:a/b:pull", &err) == 0);
    CHECK_HAS(url.text, "https://a/token?x=1&service=a");
    CHECK_HAS(url.text, "b%26c");
    CHECK(strstr(url.text, "&c=d") == NULL);
    CHECK_HAS(url.text, "&scope=repository");
}

TEST(knows_a_place_by_scheme_host_and_port)
{
    static const struct {
        const char *a;
        const char *b;
        int same;
    } rows[] = {
        {"https://a.example/x", "https://A.example:443/y", 1},
        {"https://a.example", "http://a.example", 0},
        {"https://a.example", "https://a.example:444", 0},
        {"https://a.example", "https://a.example.", 0},
        {"https://a.example", "https://b.example", 0},
        {"https://a.example", "https://a.example.evil", 0},
        {"http://127.0.0.1:5000", "http://2130706433:5000", 1},
        {"http://127.0.0.1:5000", "http://localhost:5000", 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_URL struct cl_url a = {0};
        CL_CLEANUP_URL struct cl_url b = {0};

        CHECK(parse(rows[i].a, &a) == 0 && parse(rows[i].b, &b) == 0);
        CHECK(cl_url_same_place(&a, &b) == rows[i].same);
    }
}

/* --- redirects and realms -------------------------------------------------- */

TEST(never_redirects_from_https_to_http)
{
    static const struct {
        const char *from;
        const char *to;
        int allowed;
    } rows[] = {
        {"https://a", "https://b", 1},        {"http://a", "https://b", 1},
        {"http://a", "http://b", 1},          {"https://a", "http://a", 0},
        {"https://a", "http://127.0.0.1", 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_URL struct cl_url from = {0};
        CL_CLEANUP_URL struct cl_url to = {0};

        CHECK(parse(rows[i].from, &from) == 0 && parse(rows[i].to, &to) == 0);
        CHECK((cl_redirect_allowed(&from, &to, &err) == 0) == rows[i].allowed);
    }
}

TEST(shows_credentials_to_realms_of_the_same_owner_alone)
{
    static const struct {
        const char *endpoint;
        const char *realm;
        int may_know;
    } rows[] = {
        {"https://registry-1.docker.io", "https://auth.docker.io/token", 1},
        {"https://ghcr.io", "https://ghcr.io/token", 1},
        {"https://ghcr.io", "https://ghcr.io:444/token", 1},
        {"https://registry.gitlab.com", "https://gitlab.com/jwt/auth", 1},
        {"https://a.example.co.uk", "https://b.example.co.uk", 1},
        {"https://a.co.uk", "https://b.co.uk", 0},
        {"https://co.uk", "https://a.co.uk", 0},
        {"https://registry-1.docker.io", "https://auth.docker.io.evil.com/token", 0},
        {"https://registry-1.docker.io", "https://evildocker.io/token", 0},
        {"https://registry.example.com", "https://auth.example.org", 0},
        /* the list's private part: users of one provider are strangers */
        {"https://a.github.io", "https://b.github.io", 0},
        {"https://localhost:5000", "https://localhost:5001", 1},
        {"https://registry", "https://auth", 0},
        /* addresses belong to nobody but themselves */
        {"https://10.0.0.1", "https://10.0.0.1:5001", 1},
        {"https://10.0.0.1", "https://11.0.0.1", 0},
        {"https://1.2.3.4", "https://5.6.3.4", 0},
        {"https://[fd00::1]", "https://[fd00::2]", 0},
        {"https://[fd00::1]", "https://[fd00::1]:5001", 1},
        /* without TLS: only where there was none before, and to nobody else */
        {"https://registry.example.com", "http://registry.example.com/token", 0},
        {"https://registry.example.com", "http://auth.example.com/token", 0},
        {"http://registry.example.com", "http://auth.example.com/token", 0},
        {"http://registry.example.com", "http://registry.example.com:5001/token", 1},
        {"http://registry.example.com", "https://auth.example.com/token", 1},
        {"http://127.0.0.1:5000", "http://127.0.0.1:5001/token", 1},
        {"http://127.0.0.1:5000", "http://localhost:5001/token", 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_URL struct cl_url endpoint = {0};
        CL_CLEANUP_URL struct cl_url realm = {0};

        CHECK(parse(rows[i].endpoint, &endpoint) == 0 && parse(rows[i].realm, &realm) == 0);
        CHECK(cl_realm_may_know(&endpoint, &realm) == rows[i].may_know);
        if (cl_realm_may_know(&endpoint, &realm) != rows[i].may_know)
            printf("# %s -> %s\n", rows[i].endpoint, rows[i].realm);
    }
}

/* --- addresses ------------------------------------------------------------- */

static const struct {
    const char *address;
    enum cl_reach reach;
} addresses[] = {
    {"8.8.8.8", CL_REACH_PUBLIC},
    {"93.184.216.34", CL_REACH_PUBLIC},
    {"10.0.0.1", CL_REACH_PRIVATE},
    {"11.0.0.1", CL_REACH_PUBLIC},
    {"172.16.0.1", CL_REACH_PRIVATE},
    {"172.31.255.255", CL_REACH_PRIVATE},
    {"172.32.0.1", CL_REACH_PUBLIC},
    {"192.168.1.1", CL_REACH_PRIVATE},
    {"192.169.1.1", CL_REACH_PUBLIC},
    {"100.64.0.1", CL_REACH_PRIVATE},
    {"100.128.0.1", CL_REACH_PUBLIC},
    {"198.18.0.1", CL_REACH_PRIVATE},
    {"127.0.0.1", CL_REACH_LOOPBACK},
    {"127.255.255.254", CL_REACH_LOOPBACK},
    {"0.0.0.0", CL_REACH_LOOPBACK},
    {"169.254.169.254", CL_REACH_LINK_LOCAL},
    {"168.63.129.16", CL_REACH_LINK_LOCAL},
    {"168.63.129.17", CL_REACH_PUBLIC},
    {"224.0.0.1", CL_REACH_NOWHERE},
    {"255.255.255.255", CL_REACH_NOWHERE},
    {"2606:4700::1111", CL_REACH_PUBLIC},
    {"::1", CL_REACH_LOOPBACK},
    {"::", CL_REACH_LOOPBACK},
    {"fe80::1", CL_REACH_LINK_LOCAL},
    {"fe80::1%eth0", CL_REACH_LINK_LOCAL},
    {"febf::1", CL_REACH_LINK_LOCAL},
    {"fec0::1", CL_REACH_PRIVATE},
    {"fd00:ec2::254", CL_REACH_PRIVATE},
    {"fc00::1", CL_REACH_PRIVATE},
    {"ff02::1", CL_REACH_NOWHERE},
    {"::ffff:127.0.0.1", CL_REACH_LOOPBACK},
    {"::ffff:169.254.169.254", CL_REACH_LINK_LOCAL},
    {"::ffff:8.8.8.8", CL_REACH_PUBLIC},
    {"::10.0.0.1", CL_REACH_PRIVATE},
    {"64:ff9b::169.254.169.254", CL_REACH_LINK_LOCAL},
    {"64:ff9b::8.8.8.8", CL_REACH_PUBLIC},
    {"64:ff9b:1::8.8.8.8", CL_REACH_PRIVATE},
    {"2002:a9fe:a9fe::1", CL_REACH_LINK_LOCAL},
    {"2002:808:808::1", CL_REACH_PUBLIC},
};

static enum cl_reach reach_of(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return cl_reach_of((const struct sockaddr *)&in);
    CHECK(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1);
    return cl_reach_of((const struct sockaddr *)&in6);
}

TEST(knows_from_where_an_address_is_reached)
{
    const struct sockaddr other = {.sa_family = AF_UNIX};

    for (size_t i = 0; i < CL_ARRAY_SIZE(addresses); i++) {
        const char *address = addresses[i].address;

        CHECK(cl_reach_of_text(address) == addresses[i].reach);
        CHECK(strchr(address, '%') != NULL || reach_of(address) == addresses[i].reach);
        if (cl_reach_of_text(address) != addresses[i].reach)
            printf("# %s\n", address);
    }
    CHECK(cl_reach_of(&other) == CL_REACH_NOWHERE);
    CHECK(cl_reach_of_text("") == CL_REACH_NOWHERE);
    CHECK(cl_reach_of_text("localhost") == CL_REACH_NOWHERE);
}

TEST(sends_nobody_further_in_than_he_is)
{
    static const int allowed[5][5] = {
        /* to: public, private, loopback, link-local, nowhere */
        [CL_REACH_PUBLIC] = {1, 0, 0, 0, 0},   [CL_REACH_PRIVATE] = {1, 1, 0, 0, 0},
        [CL_REACH_LOOPBACK] = {1, 1, 1, 0, 0}, [CL_REACH_LINK_LOCAL] = {1, 0, 0, 1, 0},
        [CL_REACH_NOWHERE] = {1, 0, 0, 0, 0},
    };

    for (int from = 0; from < 5; from++) {
        for (int to = 0; to < 5; to++)
            CHECK(cl_reach_allows((enum cl_reach)from, (enum cl_reach)to) == allowed[from][to]);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(takes_a_url_apart),
        ROW(refuses_urls_that_are_not_for_us),
        ROW(follows_relative_references),
        ROW(escapes_what_is_added_to_a_query),
        ROW(knows_a_place_by_scheme_host_and_port),
        ROW(never_redirects_from_https_to_http),
        ROW(shows_credentials_to_realms_of_the_same_owner_alone),
        ROW(knows_from_where_an_address_is_reached),
        ROW(sends_nobody_further_in_than_he_is),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
