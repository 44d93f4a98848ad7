/* SPDX-License-Identifier: Apache-2.0
 *
 * health - see health.h. The sequence lock is that of host/session.c.
 */
#include "proxy/health.h"

#include <stdio.h>

#include "base/count.h"

enum {
	WORDS = sizeof(struct mf_proxy_facts) / sizeof(uint64_t),
	UNANSWERED = 4, /* connections closed without a byte, in a row: then it is the proxy */
};

static void publish(struct mf_proxy_health *h, const struct mf_proxy_facts *facts)
{
	uint64_t from[WORDS], *to = (void *)&h->facts;
	uint32_t seq = h->seq;

	memcpy(from, facts, sizeof(from));
	__atomic_store_n(&h->seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORDS; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	__atomic_store_n(&h->seq, seq + 2, __ATOMIC_RELEASE);
}

static struct mf_proxy_facts facts_of(const struct mf_proxy_health *h)
{
	const uint64_t *from = (const void *)&h->facts;
	uint64_t to[WORDS];
	struct mf_proxy_facts facts;
	uint32_t seq;

	do {
		seq = __atomic_load_n(&h->seq, __ATOMIC_ACQUIRE);
		for (unsigned i = 0; i < WORDS; i++)
			to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq & 1 || seq != __atomic_load_n(&h->seq, __ATOMIC_RELAXED));
	memcpy(&facts, to, sizeof(facts));
	return facts;
}

static void tell(struct mf_proxy_health *h, enum mf_proxy_fault f, const char *detail,
		 const struct mf_log *log, const char *iface, mf_nsec now)
{
	const char *hint = mf_proxy_fault_hint(f);
	bool more = detail && *detail;

	if (log)
		mf_logf_limited(log, &h->limit_fault, now, MF_LOG_WARN, "%s: %s%s%s%s%s%s", iface,
				mf_proxy_fault_text(f), more ? " (" : "", more ? detail : "",
				more ? ")" : "", *hint ? "; " : "", hint);
}

static void note(struct mf_proxy_health *h, enum mf_proxy_fault f, const char *detail, bool failing,
		 mf_nsec now)
{
	struct mf_proxy_facts facts = h->facts;

	facts.fault = f;
	facts.last_fault = now;
	facts.failing |= failing;
	(void)snprintf(facts.detail, MF_PROXY_DETAIL_MAX, "%s", detail ? detail : "");
	publish(h, &facts);
}

void mf_proxy_health_fault(struct mf_proxy_health *h, enum mf_proxy_fault f, const char *detail,
			   const struct mf_log *log, const char *iface, mf_nsec now)
{
	mf_count(&h->count.fault[f], 1);
	if (mf_proxy_fault_is_target(f)) {
		mf_proxy_health_ok(h, log, iface, now);
		return;
	}
	note(h, f, detail, true, now);
	tell(h, f, h->facts.detail, log, iface, now);
}

void mf_proxy_health_cannot(struct mf_proxy_health *h, enum mf_proxy_fault f,
			    const struct mf_log *log, const char *iface, mf_nsec now)
{
	mf_count(&h->count.fault[f], 1);
	note(h, f, NULL, false, now);
	mf_proxy_health_ok(h, log, iface, now);
	tell(h, f, NULL, log, iface, now);
}

void mf_proxy_health_ok(struct mf_proxy_health *h, const struct mf_log *log, const char *iface,
			mf_nsec now)
{
	struct mf_proxy_facts facts = h->facts;

	mf_count(&h->count.answered, 1);
	if (facts.failing && log)
		mf_logf_limited(log, &h->limit_ok, now, MF_LOG_INFO, "%s: the proxy works again",
				iface);
	facts.failing = false;
	facts.last_ok = now;
	publish(h, &facts);
}

bool mf_proxy_health_blame(struct mf_proxy_health *h, const struct mf_proxy_life *l, mf_nsec sent,
			   mf_nsec now)
{
	if (mf_proxy_life_since(l, sent))
		return false;
	if (mf_proxy_life_since(l, h->ended))
		h->unanswered = 0;
	h->ended = now;
	h->unanswered++;
	return !mf_proxy_life_since(l, 0) || h->unanswered >= UNANSWERED;
}

void mf_proxy_health_forget(struct mf_proxy_health *h)
{
	const struct mf_proxy_facts nothing = { 0 };

	mf_counters_clear(&h->count, sizeof(h->count));
	publish(h, &nothing);
	h->ended = 0;
	h->unanswered = 0;
	h->limit_fault = h->limit_ok = (struct mf_log_limit){ 0 };
}

void mf_proxy_health_took(struct mf_proxy_health *h, enum mf_proxy_span what, mf_nsec span)
{
	struct mf_proxy_facts facts = h->facts;

	facts.took[what] = span;
	publish(h, &facts);
}

void mf_proxy_health_skew(struct mf_proxy_health *h, int32_t seconds)
{
	struct mf_proxy_facts facts = h->facts;

	facts.skew = seconds;
	facts.skew_known = true;
	publish(h, &facts);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Written seldom, for all workers read it for every connection. */
void mf_proxy_life_note(struct mf_proxy_life *l, mf_nsec now)
{
	mf_nsec heard = __atomic_load_n(&l->heard, __ATOMIC_RELAXED);

	if (!heard || now >= heard + MF_MSEC)
		__atomic_store_n(&l->heard, now, __ATOMIC_RELAXED);
}

bool mf_proxy_life_since(const struct mf_proxy_life *l, mf_nsec since)
{
	return __atomic_load_n(&l->heard, __ATOMIC_RELAXED) > since;
}

/* ---- For others ------------------------------------------------------------------------------ */

static mf_nsec newest(mf_nsec ok, mf_nsec fault)
{
	return ok > fault ? ok : fault;
}

static void add_spans(struct mf_proxy_report *sum, const struct mf_proxy_facts *f, bool newer)
{
	mf_nsec *to[MF_PROXY_SPANS] = {
		[MF_PROXY_SPAN_TCP] = &sum->tcp,
		[MF_PROXY_SPAN_TLS] = &sum->tls,
		[MF_PROXY_SPAN_TRANSPORT] = &sum->transport,
		[MF_PROXY_SPAN_FIRST_BYTE] = &sum->first_byte,
	};

	for (unsigned i = 0; i < MF_PROXY_SPANS; i++)
		if (f->took[i] && (newer || !*to[i]))
			*to[i] = f->took[i];
	if (f->skew_known && (newer || !sum->skew_known)) {
		sum->skew = f->skew;
		sum->skew_known = true;
	}
}

void mf_proxy_report_add(struct mf_proxy_report *sum, const struct mf_proxy_health *h)
{
	struct mf_proxy_facts f = facts_of(h);
	mf_nsec last = newest(f.last_ok, f.last_fault);
	bool newer = last && last >= newest(sum->last_ok, sum->last_fault);

	mf_counters_add(&sum->count, &h->count, sizeof(sum->count));
	if (newer)
		sum->state = f.failing ? MF_PROXY_FAILING : MF_PROXY_UP;
	add_spans(sum, &f, newer);
	if (f.last_fault && f.last_fault >= sum->last_fault) {
		sum->last_fault = f.last_fault;
		sum->fault = f.fault;
		memcpy(sum->detail, f.detail, sizeof(sum->detail));
	}
	if (f.last_ok > sum->last_ok)
		sum->last_ok = f.last_ok;
}
