#include "helpers/fetch/token.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sys.h"
#include "helpers/fetch/explain.h"
#include "helpers/fetch/json_answers.h"

enum { MAX_TRIES = 3, FORM_MAX = 256 << 10 };

static const struct cl_exchange_owner owner;

struct cl_token *cl_token_new(struct cl_net *net, const struct cl_realm *realm, const char *scope)
{
    struct cl_token *token = cl_calloc(1, sizeof(*token));
    char *copy = strdup(scope);

    if (token == NULL || copy == NULL) {
        free(token);
        free(copy);
        return NULL;
    }
    token->realm = realm;
    token->scope = copy;
    token->body = CL_BUF_INIT(CL_TOKEN_ANSWER_MAX);
    cl_exchange_init(&token->exchange, net, &owner, token);
    return token;
}

void cl_token_forget(struct cl_token *token)
{
    if (token->authorization != NULL)
        explicit_bzero(token->authorization, strlen(token->authorization));
    free(token->authorization);
    token->authorization = NULL;
    token->serial = 0;
    token->proven = 0;
}

static void drop_body(struct cl_token *token)
{
    if (token->body.data != NULL)
        explicit_bzero(token->body.data, token->body.allocated);
    cl_buf_done(&token->body);
}

void cl_token_free(struct cl_token *token)
{
    CL_ASSERT(token->waiting == NULL);
    cl_exchange_done(&token->exchange);
    cl_token_forget(token);
    drop_body(token);
    free(token->scope);
    free(token);
}

int cl_token_is_good(const struct cl_token *token, uint64_t now_ns)
{
    return token->authorization != NULL && now_ns < token->expires_ns;
}

/* --- asking ---------------------------------------------------------------- */

static int add_pair(struct cl_buf *form, CURL *easy, const char *name, const char *value)
{
    char *escaped = curl_easy_escape(easy, value, (int)strlen(value));
    int r = escaped == NULL
                ? -ENOMEM
                : cl_buf_printf(form, "%s%s=%s", form->size > 0 ? "&" : "", name, escaped);

    if (escaped != NULL)
        explicit_bzero(escaped, strlen(escaped));
    curl_free(escaped);
    return r;
}

static int make_form(const struct cl_token *token, struct cl_buf *form)
{
    const struct cl_realm *realm = token->realm;
    CURL *easy = curl_easy_init(); /* asked for by curl_easy_escape(3), which leaves it alone */
    int r = easy == NULL ? -ENOMEM : add_pair(form, easy, "grant_type", "refresh_token");

    if (r == 0)
        r = add_pair(form, easy, "client_id", "cloister");
    if (r == 0 && realm->service[0] != '\0')
        r = add_pair(form, easy, "service", realm->service);
    if (r == 0 && token->scope[0] != '\0')
        r = add_pair(form, easy, "scope", token->scope);
    if (r == 0)
        r = add_pair(form, easy, "refresh_token", realm->identity);
    curl_easy_cleanup(easy);
    return r;
}

static int make_query(const struct cl_token *token, struct cl_url *ret, struct cl_error *err)
{
    const struct cl_realm *realm = token->realm;
    int r = cl_url_parse(realm->url.text, NULL, "the realm", ret, err);

    if (r == 0 && realm->service[0] != '\0')
        r = cl_url_add_query(ret, "service", realm->service, err);
    if (r == 0 && token->scope[0] != '\0')
        r = cl_url_add_query(ret, "scope", token->scope, err);
    if (r == 0)
        r = cl_url_add_query(ret, "client_id", "cloister", err);
    if (r == 0 && realm->user[0] != '\0')
        r = cl_url_add_query(ret, "account", realm->user, err);
    return r;
}

static int ask_by_post(struct cl_token *token, struct cl_ask *ask, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf form = CL_BUF_INIT(FORM_MAX);
    int r = make_form(token, &form);

    ask->method = CL_METHOD_POST;
    ask->url = &token->realm->url;
    ask->form = cl_buf_text(&form);
    r = r < 0 ? cl_refuse(err, -r, "the identity token is too long")
              : cl_exchange_start(&token->exchange, ask, err);
    if (form.data != NULL)
        explicit_bzero(form.data, form.allocated);
    return r;
}

static int ask(struct cl_token *token, struct cl_error *err)
{
    const struct cl_realm *realm = token->realm;
    CL_CLEANUP_URL struct cl_url url = {0};
    struct cl_ask how = {
        .method = CL_METHOD_GET,
        .accept = "application/json",
        .authorization = realm->user[0] != '\0' ? realm->basic : NULL,
        .once = 1,
        .authority = realm->authority,
        .has_sender = 1,
        .sender_reach = realm->reach,
    };

    token->state = CL_TOKEN_ASKING;
    token->body.size = 0;
    if (realm->identity[0] != '\0')
        return ask_by_post(token, &how, err);
    int r = make_query(token, &url, err);
    how.url = &url;
    return r < 0 ? r : cl_exchange_start(&token->exchange, &how, err);
}

/* --- what comes of it ------------------------------------------------------ */

/* Those who hear of it may want the next token at once: the list is taken first. */
static void tell_waiting(struct cl_token *token, const struct cl_error *failure)
{
    struct cl_token_wait *told = token->waiting;

    token->state = CL_TOKEN_IDLE;
    token->waiting = NULL;
    drop_body(token);
    while (told != NULL) {
        struct cl_token_wait *wait = told;

        told = wait->next;
        wait->next = NULL;
        wait->token = NULL;
        wait->ready(wait->context, failure);
    }
}

static void try_again(struct cl_token *token, const struct cl_error *failure)
{
    uint64_t wait_ns = 0;
    uint32_t random = 0;

    (void)cl_sys_getrandom(&random, sizeof(random)); /* any number will do */
    const unsigned int most = token->exchange.unanswered ? CL_TRIES_CONNECT : MAX_TRIES;
    if (!cl_tries_again(&token->tries, most, random, &wait_ns)) {
        tell_waiting(token, failure);
        return;
    }
    token->state = CL_TOKEN_WAITING;
    token->wake_ns = cl_clock_boot_ns() + wait_ns / token->exchange.net->waits.hurry;
}

static int keep_answer(struct cl_token *token, struct cl_error *err)
{
    struct cl_token_answer answer = {0};
    const struct cl_bytes json = {cl_buf_text(&token->body), token->body.size};
    int r = cl_token_answer_parse(&json, cl_clock_wall_ns() / CL_NS_PER_S, token->realm->url.place,
                                  &answer, err);

    if (r < 0)
        return r;
    cl_token_forget(token);
    if (asprintf(&token->authorization, "Bearer %s", answer.token) < 0) {
        token->authorization = NULL;
        r = cl_fail_memory(err);
    }
    cl_token_answer_done(&answer);
    token->serial = ++token->exchange.net->serial;
    /* less a tenth, for the way to the registry */
    token->expires_ns = cl_clock_boot_ns() + answer.life_s * (CL_NS_PER_S / 10 * 9);
    return r;
}

/* Nobody gets in: whose fault is it? */
static void explain_refusal(const struct cl_token *token, const char *complaint,
                            struct cl_error *err)
{
    const struct cl_realm *realm = token->realm;
    const char *place = realm->url.place;

    if (realm->withheld)
        (void)cl_refuse(err, EACCES,
                        "%s gives no token without credentials, and those for %s were not sent "
                        "there, as it is another's host%s",
                        place, realm->endpoint, complaint);
    else if (realm->user[0] != '\0' || realm->identity[0] != '\0')
        (void)cl_refuse(err, EACCES,
                        "%s refuses the credentials for %s%s; `cloister login %s` takes new ones",
                        place, realm->endpoint, complaint, realm->endpoint);
    else
        (void)cl_refuse(err, EACCES,
                        "%s gives no token without credentials%s; `cloister login %s` takes them",
                        place, complaint, realm->endpoint);
}

static void judge_status(struct cl_token *token)
{
    CL_CLEANUP_BUF struct cl_buf said = CL_BUF_INIT(512);
    const struct cl_exchange *exchange = &token->exchange;
    const unsigned int status = exchange->head.status;
    const char *place = exchange->url.place;
    struct cl_error err = {0};

    cl_explain_complaint(exchange, &said);
    if (status == 401 || status == 403)
        explain_refusal(token, cl_buf_text(&said), &err);
    else if ((status == 404 || status == 405) && token->realm->identity[0] != '\0')
        (void)cl_refuse(&err, EACCES, "%s knows no identity tokens (status %u)", place, status);
    else
        (void)cl_refuse(&err, EIO, "%s gives no token: status %u%s", place, status,
                        cl_buf_text(&said));
    if (status >= 500 || status == 429)
        try_again(token, &err);
    else
        tell_waiting(token, &err);
}

static int on_head(CL_UNUSED void *context, CL_UNUSED const struct cl_head *head,
                   CL_UNUSED struct cl_error *err)
{
    return 0;
}

static int on_data(void *context, const void *data, size_t size, struct cl_error *err)
{
    struct cl_token *token = context;
    int r = cl_buf_add(&token->body, data, size);

    if (r == -EFBIG)
        return cl_refuse(err, EFBIG, "%s: its answer is longer than %d bytes",
                         token->realm->url.place, CL_TOKEN_ANSWER_MAX);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static void on_end(void *context, enum cl_end how)
{
    struct cl_token *token = context;
    struct cl_error err = token->exchange.err;

    switch (how) {
    case CL_END_ANSWERED:
        if (token->exchange.head.status / 100 != 2)
            judge_status(token);
        else
            tell_waiting(token, keep_answer(token, &err) < 0 ? &err : NULL);
        return;
    case CL_END_CUT:
    case CL_END_UNREACHABLE:
        try_again(token, &err);
        return;
    case CL_END_UNTRUSTED:
    case CL_END_REFUSED:
        tell_waiting(token, &err);
        return;
    }
}

static const struct cl_exchange_owner owner = {on_head, on_data, on_end};

/* --- waiting --------------------------------------------------------------- */

int cl_token_want(struct cl_token *token, struct cl_token_wait *wait, struct cl_error *err)
{
    CL_ASSERT(wait->token == NULL);
    if (token->state == CL_TOKEN_IDLE) {
        token->tries = (struct cl_tries){0};
        int r = ask(token, err);

        if (r < 0) {
            token->state = CL_TOKEN_IDLE;
            return r;
        }
    }
    wait->token = token;
    wait->next = token->waiting;
    token->waiting = wait;
    return 0;
}

void cl_token_wait_cancel(struct cl_token_wait *wait)
{
    if (wait->token == NULL)
        return;
    struct cl_token_wait **link = &wait->token->waiting;
    while (*link != wait)
        link = &(*link)->next;
    *link = wait->next;
    wait->next = NULL;
    wait->token = NULL;
}

uint64_t cl_token_tick(struct cl_token *token, uint64_t now_ns)
{
    struct cl_error err = {0};

    if (token->state != CL_TOKEN_WAITING)
        return UINT64_MAX;
    if (now_ns < token->wake_ns)
        return token->wake_ns;
    if (ask(token, &err) < 0)
        tell_waiting(token, &err);
    return UINT64_MAX;
}
