#include "helpers/fetch/exchange.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "helpers/fetch/easy.h"
#include "helpers/fetch/explain.h"
#include "helpers/fetch/json_answers.h"

void cl_exchange_init(struct cl_exchange *ret, struct cl_net *net,
                      const struct cl_exchange_owner *owner, void *context)
{
    *ret = (struct cl_exchange){
        .net = net,
        .owner = owner,
        .context = context,
        .complaint = CL_BUF_INIT(CL_COMPLAINT_MAX),
    };
    cl_head_init(&ret->head);
}

static void wipe(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

/* Out of curl's hands and the net's list. */
void cl_exchange_stop(struct cl_exchange *exchange)
{
    struct cl_exchange **link = &exchange->net->first;

    if (exchange->easy == NULL)
        return;
    while (*link != NULL && *link != exchange)
        link = &(*link)->next;
    if (*link == exchange) {
        *link = exchange->next;
        (void)curl_multi_remove_handle(exchange->net->multi, exchange->easy); /* it is there */
    }
    cl_easy_drop(exchange);
}

void cl_exchange_done(struct cl_exchange *exchange)
{
    cl_exchange_stop(exchange);
    wipe(&exchange->authorization);
    wipe(&exchange->form);
    cl_url_done(&exchange->url);
    cl_url_done(&exchange->first);
    cl_head_done(&exchange->head);
    cl_buf_done(&exchange->complaint);
}

static int start_hop(struct cl_exchange *exchange, struct cl_error *err)
{
    cl_head_done(&exchange->head);
    cl_head_init(&exchange->head);
    exchange->complaint.size = 0;
    exchange->paced = 0;
    exchange->unanswered = 0;
    exchange->refused = 0;
    exchange->silenced = 0;
    exchange->pace = (struct cl_pace){0};
    exchange->err = (struct cl_error){0};
    exchange->curl_says[0] = '\0';
    int r = cl_easy_make(exchange, err);
    if (r == 0 && curl_multi_add_handle(exchange->net->multi, exchange->easy) != CURLM_OK)
        r = cl_fail_memory(err);
    if (r < 0) {
        cl_easy_drop(exchange);
        return r;
    }
    exchange->next = exchange->net->first;
    exchange->net->first = exchange;
    return 0;
}

static int copy_url(const struct cl_url *url, struct cl_url *ret)
{
    char *text = strdup(url->text);

    if (text == NULL)
        return -ENOMEM;
    cl_url_done(ret);
    *ret = *url;
    ret->text = text;
    return 0;
}

static int copy_secret(const char *text, char **ret)
{
    wipe(ret);
    if (text == NULL)
        return 0;
    *ret = strdup(text);
    return *ret == NULL ? -ENOMEM : 0;
}

int cl_exchange_start(struct cl_exchange *exchange, const struct cl_ask *ask, struct cl_error *err)
{
    CL_ASSERT(exchange->easy == NULL);
    exchange->ask = *ask;
    exchange->redirects = 0;
    exchange->was_sent = ask->has_sender;
    exchange->reach = ask->sender_reach;
    if (copy_secret(ask->authorization, &exchange->authorization) < 0 ||
        copy_secret(ask->form, &exchange->form) < 0 || copy_url(ask->url, &exchange->url) < 0 ||
        copy_url(ask->url, &exchange->first) < 0)
        return cl_fail_memory(err);
    return start_hop(exchange, err);
}

/* --- redirects ------------------------------------------------------------- */

static int is_redirect(const struct cl_head *head)
{
    const unsigned int status = head->status;

    return head->location != NULL &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static int check_redirect(struct cl_exchange *exchange, const struct cl_url *to,
                          struct cl_error *err)
{
    if (exchange->ask.method == CL_METHOD_POST)
        return cl_refuse(err, EPROTO, "%s redirects what holds a secret to %s: refused",
                         exchange->url.place, to->place);
    if (exchange->redirects == CL_MAX_REDIRECTS)
        return cl_refuse(err, ELOOP, "%s redirects more than %d times", exchange->first.place,
                         CL_MAX_REDIRECTS);
    return cl_redirect_allowed(&exchange->url, to, err);
}

/* Credentials are for one scheme, host and port; what was dropped is never taken up again, as
 * who redirects back could choose what is asked with them. */
static int follow(struct cl_exchange *exchange, struct cl_error *err)
{
    CL_CLEANUP_URL struct cl_url to = {0};
    int r = cl_url_parse(exchange->head.location, &exchange->url, "a redirect's target", &to, err);

    if (r < 0)
        return cl_prefix(err, "%s", exchange->url.place);
    r = check_redirect(exchange, &to, err);
    if (r < 0)
        return r;
    if (exchange->ask.once || !cl_url_same_place(&exchange->first, &to))
        wipe(&exchange->authorization);
    cl_url_done(&exchange->url);
    exchange->url = to;
    to.text = NULL;
    exchange->redirects++;
    exchange->was_sent = 1;
    return start_hop(exchange, err);
}

/* --- ends ------------------------------------------------------------------ */

static void end(struct cl_exchange *exchange, enum cl_end how)
{
    exchange->owner->on_end(exchange->context, how);
}

static enum cl_end judge(struct cl_exchange *exchange, CURLcode code)
{
    if (exchange->refused)
        return CL_END_REFUSED;
    if (code == CURLE_OK || (exchange->silenced && code == CURLE_WRITE_ERROR))
        return CL_END_ANSWERED;
    return cl_explain(exchange, code, &exchange->err);
}

void cl_exchange_finished(struct cl_exchange *exchange, CURLcode code)
{
    enum cl_end how = judge(exchange, code);

    cl_exchange_stop(exchange);
    if (how == CL_END_ANSWERED && is_redirect(&exchange->head)) {
        if (follow(exchange, &exchange->err) == 0)
            return;
        how = CL_END_REFUSED;
    }
    end(exchange, how);
}

/* A head may come slowly, but has the time that silence has. */
static int is_late(const struct cl_exchange *exchange, uint64_t now_ns)
{
    return !exchange->head.complete &&
           now_ns - exchange->pace.began_ns >= exchange->net->waits.pace.silence_ns;
}

int cl_exchange_watch(struct cl_exchange *exchange, uint64_t now_ns)
{
    const struct cl_pace_limits *limits = &exchange->net->waits.pace;
    const unsigned int silence_s = (unsigned int)(limits->silence_ns / CL_NS_PER_S);

    if (!exchange->paced)
        return 0;
    switch (cl_pace_judge(&exchange->pace, limits, now_ns)) {
    case CL_PACE_FINE:
        if (!is_late(exchange, now_ns))
            return 0;
        (void)cl_refuse(&exchange->err, ETIMEDOUT, "%s sent no whole answer in %u s",
                        exchange->url.place, silence_s);
        break;
    case CL_PACE_SILENT:
        (void)cl_refuse(&exchange->err, ETIMEDOUT, "%s sent nothing for %u s", exchange->url.place,
                        silence_s);
        break;
    case CL_PACE_SLOW:
        (void)cl_refuse(&exchange->err, ETIMEDOUT, "%s sends less than %d bytes a second",
                        exchange->url.place, CL_PACE_LEAST);
        break;
    }
    exchange->unanswered = !exchange->head.complete;
    cl_exchange_stop(exchange);
    end(exchange, CL_END_CUT);
    return 1;
}
