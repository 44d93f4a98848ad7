/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_list - names such as lists of advertisers and of whole countries' sites have, the same
 * from the same seed.
 *
 * What matters to a set of names is as in public lists: half end in .com and the rest in some
 * thirty other suffixes, a few of them frequent; what was registered has 4 to 20 bytes and is made
 * of words, parts of words, and now and then digits and hyphens; a third of the names have a label
 * or two more, of which many are well-known ones, and share their zone with others. 20 bytes on
 * average; one name in a hundred is there already, or below another.
 */
#ifndef BENCH_DOMAIN_LIST_H
#define BENCH_DOMAIN_LIST_H

#include "base/prng.h"

#include <stdio.h>
#include <stdlib.h>

enum { BENCH_NAME_MAX = 120 };

/* A piece of text that grows while a name is written. */
struct bench_name {
	char s[BENCH_NAME_MAX];
	size_t n;
};

static inline void bench_add(struct bench_name *name, const char *text)
{
	size_t n = strlen(text);

	if (name->n + n < sizeof(name->s)) {
		memcpy(name->s + name->n, text, n);
		name->n += n;
	}
}

/* A suffix: each as often in a thousand as its number minus the one before. */
static inline const char *bench_suffix(struct mf_prng *g)
{
	static const struct {
		unsigned upto;
		const char *text;
	} table[] = {
		{ 490, ".com" },    { 550, ".net" },   { 600, ".org" },    { 640, ".de" },
		{ 680, ".ru" },     { 710, ".co.uk" }, { 740, ".info" },   { 765, ".xyz" },
		{ 790, ".top" },    { 810, ".cn" },    { 830, ".nl" },     { 848, ".io" },
		{ 864, ".fr" },     { 880, ".it" },    { 894, ".com.br" }, { 908, ".pl" },
		{ 920, ".online" }, { 930, ".jp" },    { 940, ".club" },   { 949, ".site" },
		{ 957, ".eu" },     { 964, ".shop" },  { 970, ".biz" },    { 976, ".com.au" },
		{ 981, ".in" },     { 985, ".co.jp" }, { 989, ".app" },    { 992, ".me" },
		{ 995, ".tv" },     { 997, ".cc" },    { 999, ".click" },  { 1000, ".technology" },
	};
	unsigned roll = (unsigned)mf_prng_below(g, 1000), k = 0;

	while (roll >= table[k].upto)
		k++;
	return table[k].text;
}

/* A word, or something that could be one. */
static inline void bench_word(struct mf_prng *g, struct bench_name *name, bool known)
{
	static const char *const words[] = {
		"ad",    "ads",  "click",  "track", "media", "shop",  "online", "cloud",
		"web",   "net",  "data",   "smart", "best",  "free",  "game",   "play",
		"news",  "live", "home",   "tech",  "my",    "go",    "top",    "the",
		"pro",   "digi", "market", "pay",   "link",  "star",  "blue",   "green",
		"world", "city", "east",   "north", "photo", "video", "mail",   "push",
	};
	static const char *const heads[] = { "b", "br", "c", "ch", "d", "f", "g",  "h", "k",  "l",
					     "m", "n",  "p", "pr", "r", "s", "st", "t", "tr", "v" };
	static const char *const tails[] = { "a",  "e",  "i",  "o",  "u",  "an", "en", "er",
					     "in", "on", "or", "el", "ia", "is", "us", "ay" };
	unsigned syllables = 2 + (unsigned)mf_prng_below(g, 2);

	if (known) {
		bench_add(name, words[mf_prng_below(g, MF_ARRAY_LEN(words))]);
		return;
	}
	while (syllables--) {
		bench_add(name, heads[mf_prng_below(g, MF_ARRAY_LEN(heads))]);
		bench_add(name, tails[mf_prng_below(g, MF_ARRAY_LEN(tails))]);
	}
}

/* What was registered, and its suffix. */
static inline void bench_zone(struct mf_prng *g, struct bench_name *zone)
{
	char digits[8];

	bool known = mf_prng_below(g, 100) < 60, first = mf_prng_below(g, 2);

	zone->n = 0;
	bench_word(g, zone, known && first);
	if (mf_prng_below(g, 100) < 12)
		bench_add(zone, "-");
	bench_word(g, zone, known && !first);
	if (mf_prng_below(g, 100) < 15) {
		snprintf(digits, sizeof(digits), "%u", (unsigned)mf_prng_below(g, 1000));
		bench_add(zone, digits);
	}
	bench_add(zone, bench_suffix(g));
}

/* A label in front of a zone, with its dot. */
static inline void bench_label(struct mf_prng *g, struct bench_name *name)
{
	static const char *const known[] = { "www", "ads", "cdn",    "api",  "img",       "track",
					     "m",   "s1",  "static", "mail", "analytics", "pixel" };
	char digits[8];

	if (mf_prng_below(g, 100) < 60) {
		bench_add(name, known[mf_prng_below(g, MF_ARRAY_LEN(known))]);
	} else {
		bench_word(g, name, mf_prng_below(g, 2));
		snprintf(digits, sizeof(digits), "%u", (unsigned)mf_prng_below(g, 100));
		bench_add(name, digits);
	}
	bench_add(name, ".");
}

/* The next name. `zone` is that of the name before, if others are to follow below it; { 0 } to
 * begin with. */
static inline struct bench_name bench_next_name(struct mf_prng *g, struct bench_name *zone)
{
	struct bench_name name = { .n = 0 };
	bool more = zone->n > 0;
	unsigned roll = (unsigned)mf_prng_below(g, 100);

	if (!more)
		bench_zone(g, zone);
	zone->s[zone->n] = '\0';
	if (more || roll < 25)
		bench_label(g, &name);
	if (more && roll < 25)
		bench_label(g, &name);
	bench_add(&name, zone->s);
	if (name.n == zone->n || mf_prng_below(g, 100) < 60)
		zone->n = 0;
	return name;
}

#endif
