/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/list.h"

#include "base/json.h"
#include "failing_malloc.h"
#include "unit.h"

/* Writes down what it gets; refuses what ends in "refuse.me". */
static mf_err note_domain(void *ctx, enum mf_domain_kind kind, const char *name, size_t n,
			  bool except, uint32_t line, struct mf_errbuf *eb)
{
	static const char *const kinds[] = { "below", "full", "keyword", "regexp" };

	assert_int_equal(strlen(name), n);
	if (strstr(name, "refuse.me"))
		return mf_fail(eb, MF_E_MALFORMED, "refused");
	if (strstr(name, "end.here"))
		return MF_E_FULL;
	mf_text_printf(ctx, "%u %s%s %s\n", line, except ? "not " : "", kinds[kind], name);
	return MF_OK;
}

static mf_err note_cidr(void *ctx, const struct mf_prefix *p, uint32_t line, struct mf_errbuf *eb)
{
	char text[MF_PREFIX_STRLEN];

	(void)eb;
	mf_text_printf(ctx, "%u %s\n", line, mf_prefix_format(p, text));
	return MF_OK;
}

static struct mf_text said;
static struct mf_list_report report;

/* The entries, the errors and the sums, as text. */
static const char *read_bytes(const char *list, size_t n, enum mf_list_wants wants)
{
	struct mf_list_sink sink = { .ctx = &said, .domain = note_domain, .cidr = note_cidr };
	mf_err err;

	mf_text_free(&said);
	said = (struct mf_text){ 0 };
	err = mf_list_read(mf_span(list, n), wants, &sink, &report);
	for (uint32_t i = 0; i < report.n_errors; i++)
		mf_text_printf(&said, "%u: %s\n", report.error[i].line, report.error[i].text);
	if (err)
		mf_text_printf(&said, "ended: %s\n", mf_err_text(err));
	mf_text_printf(&said, "%u lines, %u entries, %u left out, %u bad\n", report.lines,
		       report.entries, report.left_out, report.bad);
	return said.s;
}

static const char *domains(const char *list)
{
	return read_bytes(list, strlen(list), MF_LIST_DOMAINS);
}

static const char *cidrs(const char *list)
{
	return read_bytes(list, strlen(list), MF_LIST_CIDRS);
}

static void test_plain(void **state)
{
	(void)state;
	assert_string_equal(domains(""), "0 lines, 0 entries, 0 left out, 0 bad\n");
	assert_string_equal(domains("\xef\xbb\xbf"
				    "example.com\r\n"
				    "\r\n"
				    "# comment\n"
				    "; another\n"
				    "// and another\n"
				    "  \tWWW.Example.NET.\t# behind a name\n"
				    "*.a.com\n"
				    "+.b.com\n"
				    ".c.com\n"
				    "d.com#stuck to it\n"
				    "under_score.e-f.com\n"
				    "com\n"
				    "xn--bcher-kva.example"),
			    "1 below example.com\n"
			    "6 below www.example.net\n"
			    "7 below a.com\n"
			    "8 below b.com\n"
			    "9 below c.com\n"
			    "10 below d.com\n"
			    "11 below under_score.e-f.com\n"
			    "12 below com\n"
			    "13 below xn--bcher-kva.example\n"
			    "13 lines, 9 entries, 0 left out, 0 bad\n");
}

static void test_left_out(void **state)
{
	(void)state;
	assert_string_equal(domains("192.0.2.1\n"
				    "2001:db8::/32\n"
				    "192.0.2.1:80\n"
				    "[2001:db8::1]:443\n"
				    "a.com:8080\n"
				    "a.com/path\n"
				    "https://a.com/\n"
				    "ads*.a.com\n"
				    "*\n"),
			    "9 lines, 0 entries, 9 left out, 0 bad\n");
}

static void test_wrong(void **state)
{
	char label[130];

	(void)state;
	assert_string_equal(domains("a..com\n"
				    "two names\n"
				    "a_b!.com\n"
				    "1.2.3.256\n"
				    "10.1\n"
				    "..\n"
				    "good.com\n"
				    "<!DOCTYPE html>\n"
				    "x.refuse.me\n"
				    "unknown:a.com\n"
				    "a.com,b.com\n"),
			    "7 below good.com\n"
			    "1: not a domain name: \"a..com\"\n"
			    "2: more than one name: \"two names\"\n"
			    "3: not a domain name: \"a_b!.com\"\n"
			    "4: neither a name nor an address: \"1.2.3.256\"\n"
			    "5: neither a name nor an address: \"10.1\"\n"
			    "6: no name is there: \"..\"\n"
			    "8: more than one name: \"<!DOCTYPE html>\"\n"
			    "9: refused: \"x.refuse.me\"\n"
			    "10: not a domain name: \"unknown:a.com\"\n"
			    "11: not a domain name: \"a.com,b.com\"\n"
			    "11 lines, 1 entries, 0 left out, 10 bad\n");
	memset(label, 'a', sizeof(label));
	memcpy(label + 63, ".com", 5);
	(void)domains(label);
	assert_int_equal(report.entries, 1);
	memcpy(label + 64, ".com", 5);
	label[63] = 'a';
	assert_string_equal(domains(label),
			    "1: not a domain name: "
			    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"\n"
			    "1 lines, 0 entries, 0 left out, 1 bad\n");
}

/* Bytes of any value. */
static void test_bytes(void **state)
{
	static const char nul[] = "a.com\0b.com\nc.com\n", utf16[] = "\xff\xfe"
								     "a\0.\0b\0\n\0";

	(void)state;
	assert_string_equal(read_bytes(nul, sizeof(nul) - 1, MF_LIST_DOMAINS),
			    "2 below c.com\n"
			    "1: byte 0 within a line: \"a.com\\x00b.com\"\n"
			    "2 lines, 1 entries, 0 left out, 1 bad\n");
	assert_string_equal(read_bytes(utf16, sizeof(utf16) - 1, MF_LIST_DOMAINS),
			    "1: the list is in UTF-16; it must be in UTF-8: \"\"\n"
			    "1 lines, 0 entries, 0 left out, 1 bad\n");
	assert_string_equal(domains("a.com\rb.com\r\n"
				    "\x1b[2Jx.com\n"
				    "b\xfc"
				    "cher.example\n"),
			    "1: byte 13 within a line: \"a.com\\x0db.com\"\n"
			    "2: byte 27 within a line: \"\\x1b[2Jx.com\"\n"
			    "3: no internationalised name: string encoding error: "
			    "\"b\\xfccher.example\"\n"
			    "3 lines, 0 entries, 0 left out, 3 bad\n");
}

static void test_idn(void **state)
{
	(void)state;
	assert_string_equal(
		domains("B\xc3\xbc"
			"cher.example\n"
			"*.stra\xc3\x9f"
			"e.example.\n"
			"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.\xd1\x80\xd1\x84\n"
			"||\xe4\xbe\x8b\xe3\x81\x88.jp^\n"
			"\xe4\xbe\x8b\xe3\x80\x82jp\n"
			"0.0.0.0 b\xc3\xbc"
			"cher.example\n"
			"full:b\xc3\xbc"
			"cher.example\n"
			"keyword:b\xc3\xbc"
			"cher\n"
			"\xe2\x80\xae.com\n"),
		"1 below xn--bcher-kva.example\n"
		"2 below xn--strae-oqa.example\n"
		"3 below xn--e1afmkfd.xn--p1ai\n"
		"4 below xn--r8jz45g.jp\n"
		"5 below xn--fsq.jp\n"
		"6 below xn--bcher-kva.example\n"
		"7 full xn--bcher-kva.example\n"
		"8: no name has such a keyword in it: \"keyword:b\\xc3\\xbccher\"\n"
		"9: no internationalised name: string contains a disallowed character: "
		"\"\\xe2\\x80\\xae.com\"\n"
		"9 lines, 7 entries, 0 left out, 2 bad\n");
}

static void test_v2fly(void **state)
{
	(void)state;
	assert_string_equal(domains("example.com @ads @cn # comment\n"
				    "domain:b.com\n"
				    "full:www.C.com &group\n"
				    "keyword:Track\n"
				    "regexp:^ad[0-9]{1,3}\\.Example\\.com$ @ads\n"
				    "full:d.com:@cn\n"
				    "include:other @ads\n"
				    "full:e.com more\n"
				    "full:\n"
				    "keyword:a b\n"
				    "keyword:a/b\n"
				    "regexp:\n"),
			    "1 below example.com\n"
			    "2 below b.com\n"
			    "3 full www.c.com\n"
			    "4 keyword track\n"
			    "5 regexp ^ad[0-9]{1,3}\\.Example\\.com$\n"
			    "6 full d.com\n"
			    "7: another list is included; add it as a file of its own: "
			    "\"include:other @ads\"\n"
			    "8: more than one entry: \"full:e.com more\"\n"
			    "9: no name is there: \"full:\"\n"
			    "10: more than one entry: \"keyword:a b\"\n"
			    "11: no name has such a keyword in it: \"keyword:a/b\"\n"
			    "12: a regular expression has 1 to 2048 bytes: \"regexp:\"\n"
			    "12 lines, 6 entries, 0 left out, 6 bad\n");
}

static void test_hosts(void **state)
{
	(void)state;
	assert_string_equal(domains("127.0.0.1 localhost localhost.localdomain\n"
				    "::1\tip6-localhost ip6-loopback # own\n"
				    "fe80::1%lo0 localhost\n"
				    "255.255.255.255 broadcasthost\n"
				    "0.0.0.0 0.0.0.0\n"
				    "0.0.0.0 ads.example.com ADS2.example.com # two\n"
				    "127.0.0.1\tlocalhost a.com\n"
				    ":: b.com\n"
				    "192.168.1.10 nas.lan\n"
				    "0.0.0.0 good.com b@d c.com\n"),
			    "6 below ads.example.com\n"
			    "6 below ads2.example.com\n"
			    "7 below a.com\n"
			    "8 below b.com\n"
			    "10 below good.com\n"
			    "10 below c.com\n"
			    "10: not a domain name: \"0.0.0.0 good.com b@d c.com\"\n"
			    "10 lines, 6 entries, 6 left out, 1 bad\n");
}

static void test_dnsmasq(void **state)
{
	(void)state;
	assert_string_equal(domains("address=/a.com/b.com/0.0.0.0\n"
				    "address=/c.com/\n"
				    "server=/d.com/192.0.2.1#5353\n"
				    "local=/E.com/ # comment\n"
				    "ipset=/f.com/g.com/name,other\n"
				    "nftset=/h.com/4#inet#fw4#set\n"
				    "address=/*.i.com/::\n"
				    "server=192.0.2.1\n"
				    "server=/#/192.0.2.1\n"
				    "server=//192.0.2.1\n"
				    "conf-dir=/etc/dnsmasq.d\n"
				    "address=/.j.com/#\n"
				    "address=/k.com\n"
				    "address=/l m/0.0.0.0\n"),
			    "1 below a.com\n"
			    "1 below b.com\n"
			    "2 below c.com\n"
			    "3 below d.com\n"
			    "4 below e.com\n"
			    "5 below f.com\n"
			    "5 below g.com\n"
			    "6 below h.com\n"
			    "7 below i.com\n"
			    "12 below j.com\n"
			    "13: no / behind the domain: \"address=/k.com\"\n"
			    "14: not a domain name: \"address=/l m/0.0.0.0\"\n"
			    "14 lines, 10 entries, 4 left out, 2 bad\n");
}

static void test_adblock(void **state)
{
	(void)state;
	assert_string_equal(domains("&banner=\n" /* not known to be a rule yet */
				    "[Adblock Plus 2.0]\n"
				    "! Title: a list\n"
				    "||A.com^\n"
				    "||b.com\n"
				    "||c.com^|\n"
				    "||d.com^$third-party,important\n"
				    "||e.com^$script\n"
				    "||f.com^$domain=g.com\n"
				    "||h.com/path^\n"
				    "||i.com:8080^\n"
				    "||*.j.com^\n"
				    "||k*.com^\n"
				    "||192.0.2.1^\n"
				    "@@||good.a.com^\n"
				    "@@||page.a.com^$document\n"
				    "@@||l.com^$important\n"
				    "@@/path/\n"
				    "|https://m.com/\n"
				    "##.banner\n"
				    "#@#.banner\n"
				    "n.com##.banner\n"
				    "n.com,o.com#@#.banner\n"
				    "n.com#?#.banner\n"
				    "/banner/*/img^\n"
				    "&banner=\n"
				    "-ad-$image\n"
				    "p.com\n"
				    "||q!.com^\n"),
			    "4 below a.com\n"
			    "5 below b.com\n"
			    "6 below c.com\n"
			    "7 below d.com\n"
			    "12 below j.com\n"
			    "15 not below good.a.com\n"
			    "17 not below l.com\n"
			    "28 below p.com\n"
			    "1: not a domain name: \"&banner=\"\n"
			    "29: not a domain name: \"||q!.com^\"\n"
			    "29 lines, 8 entries, 17 left out, 2 bad\n");
}

static void test_clash(void **state)
{
	(void)state;
	assert_string_equal(domains("payload:\n"
				    "  # comment\n"
				    "  - '+.a.com'\n"
				    "  - \"b.com\" # comment\n"
				    "  - c.com\n"
				    "  - '*.d.com'\n"
				    "  - DOMAIN-SUFFIX,e.com\n"
				    "  - 'DOMAIN,f.com,no-resolve'\n"
				    "  - DOMAIN-KEYWORD,Track\n"
				    "  - \"DOMAIN-REGEX,^g{1,2}\\\\.com$\"\n"
				    "  - IP-CIDR,192.0.2.0/24,no-resolve\n"
				    "  - 192.0.2.0/24\n"
				    "  - PROCESS-NAME,curl\n"
				    "  - 'it''s'\n"
				    "  - 'h.com\n"
				    "  - 'i.com' j.com\n"
				    "  -\n"
				    "  - DOMAN,k.com\n"),
			    "3 below a.com\n"
			    "4 below b.com\n"
			    "5 below c.com\n"
			    "6 below d.com\n"
			    "7 below e.com\n"
			    "8 full f.com\n"
			    "9 keyword track\n"
			    "10 regexp ^g{1,2}\\.com$\n"
			    "14: not a domain name: \"- 'it''s'\"\n"
			    "15: quotes that do not end with the item: \"- 'h.com\"\n"
			    "16: quotes that do not end with the item: \"- 'i.com' j.com\"\n"
			    "17: an item without a value: \"-\"\n"
			    "18: not a domain name: \"- DOMAN,k.com\"\n"
			    "18 lines, 8 entries, 3 left out, 5 bad\n");
	assert_string_equal(domains("---\n"
				    "payload: []\n"
				    "payload: ['a.com']\n"
				    "DOMAIN-SUFFIX,b.com,PROXY\n"
				    "DOMAIN-REGEX,^c{1,2}\\.com$\n"
				    "MATCH,DIRECT\n"
				    "IP-CIDR,nonsense\n"),
			    "4 below b.com\n"
			    "5 regexp ^c{1,2}\\.com$\n"
			    "3: items on the line of payload: one a line can be read: "
			    "\"payload: ['a.com']\"\n"
			    "7: not a prefix: \"IP-CIDR,nonsense\"\n"
			    "7 lines, 2 entries, 1 left out, 2 bad\n");
}

static void test_cidrs(void **state)
{
	(void)state;
	assert_string_equal(cidrs("192.0.2.0/24\n"
				  "192.0.2.77/24 # host bits\n"
				  "192.0.2.1\n"
				  "2001:DB8::/32 ; text\n"
				  "198.51.100.0/24,no-resolve\n"
				  "IP-CIDR,203.0.113.0/24,no-resolve\n"
				  "IP-CIDR6,2001:db8:1::/48\n"
				  "payload:\n"
				  "  - '10.0.0.0/8'\n"
				  "  - IP-CIDR,172.16.0.0/12\n"
				  "||192.0.2.9^\n"
				  "example.com\n"
				  "0.0.0.0 ads.example.com\n"
				  "DOMAIN,a.com\n"
				  "10.0.0.0/33\n"
				  "10.0.0\n"
				  "10.0/8\n"
				  "::/129\n"
				  "10.0.0.0/8 text\n"
				  "192.0.2.1-192.0.2.9\n"
				  "::/0\n"),
			    "1 192.0.2.0/24\n"
			    "2 192.0.2.0/24\n"
			    "3 192.0.2.1/32\n"
			    "4 2001:db8::/32\n"
			    "5 198.51.100.0/24\n"
			    "6 203.0.113.0/24\n"
			    "7 2001:db8:1::/48\n"
			    "9 10.0.0.0/8\n"
			    "10 172.16.0.0/12\n"
			    "21 ::/0\n"
			    "15: no prefix has that length: \"10.0.0.0/33\"\n"
			    "16: neither a name nor an address: \"10.0.0\"\n"
			    "17: not a prefix: \"10.0/8\"\n"
			    "18: no prefix has that length: \"::/129\"\n"
			    "19: a prefix with something behind it: \"10.0.0.0/8 text\"\n"
			    "20: neither a name nor an address: \"192.0.2.1-192.0.2.9\"\n"
			    "21 lines, 10 entries, 4 left out, 6 bad\n");
}

/* 100 MB without a newline are one bad line, and a million bad lines make twenty messages. */
static void test_long(void **state)
{
	size_t n = 100 << 20;
	char *list = malloc(n);

	(void)state;
	assert_non_null(list);
	memset(list, 'a', n);
	assert_string_equal(read_bytes(list, n, MF_LIST_DOMAINS),
			    "1: longer than 4096 bytes: "
			    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"\n"
			    "1 lines, 0 entries, 0 left out, 1 bad\n");
	for (size_t i = 0; i < n; i += 8192)
		list[i] = '\n';
	(void)read_bytes(list, n, MF_LIST_DOMAINS);
	assert_int_equal(report.n_errors, MF_LIST_ERRORS_MAX);
	assert_int_equal(report.lines, n / 8192 + 1);
	assert_int_equal(report.bad, report.lines - 1);
	memset(list, ' ', n);
	memset(list, '\n', 1 << 20);
	memcpy(list + MF_LIST_LINE_MAX, "\na.com\n", 7);
	(void)read_bytes(list, 1 << 20, MF_LIST_DOMAINS);
	assert_int_equal(report.entries, 1);
	assert_int_equal(report.bad, 0);
	free(list);
}

static void test_sink_ends(void **state)
{
	(void)state;
	assert_string_equal(domains("a.com\nend.here\nb.com\n"),
			    "1 below a.com\n"
			    "ended: no room left\n"
			    "2 lines, 1 entries, 0 left out, 0 bad\n");
	assert_string_equal(domains("0.0.0.0 a.com end.here b.com\nc.com\n"),
			    "1 below a.com\n"
			    "ended: no room left\n"
			    "1 lines, 1 entries, 0 left out, 0 bad\n");
}

static const char *entry(const char *text, size_t cap)
{
	static const char *const kinds[] = { "below", "full", "keyword", "regexp" };
	static char out[600], name[512];
	enum mf_domain_kind kind;
	struct mf_errbuf eb = { "" };
	mf_err err = mf_list_entry(text, strlen(text), &kind, name, cap, &eb);

	if (err)
		snprintf(out, sizeof(out), "%s: %s", mf_err_text(err), eb.text);
	else
		snprintf(out, sizeof(out), "%s %s", kinds[kind], name);
	return out;
}

static void test_entry(void **state)
{
	(void)state;
	assert_string_equal(entry("example.com", 512), "below example.com");
	assert_string_equal(entry(" *.Example.com. ", 512), "below example.com");
	assert_string_equal(entry("domain:a.com", 512), "below a.com");
	assert_string_equal(entry("full: b\xc3\xbc"
				  "cher.example",
				  512),
			    "full xn--bcher-kva.example");
	assert_string_equal(entry("keyword:Ads", 512), "keyword ads");
	assert_string_equal(entry("regexp:^[A-Z] x#$", 512), "regexp ^[A-Z] x#$");
	assert_string_equal(entry("", 512), "malformed input: no name is there");
	assert_string_equal(entry("192.0.2.1", 512), "malformed input: an address, not a name");
	assert_string_equal(entry("a.com:80", 512), "malformed input: a name with a port");
	assert_string_equal(entry("a.*.com", 512),
			    "malformed input: a wildcard within a name; only *. in front of it is "
			    "possible");
	assert_string_equal(entry("a b", 512), "malformed input: not a domain name");
	assert_string_equal(entry("a.com", 6), "below a.com");
	assert_string_equal(entry("a.com", 5), "value out of range: longer than 4 bytes");
	assert_string_equal(entry("regexp:a.com", 5), "value out of range: longer than 4 bytes");
	assert_string_equal(entry("b\xc3\xbc"
				  "cher",
				  14),
			    "below xn--bcher-kva");
	assert_string_equal(entry("b\xc3\xbc"
				  "cher",
				  13),
			    "value out of range: the name is longer than 12 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),     cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_wrong),     cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_idn),       cmocka_unit_test(test_v2fly),
		cmocka_unit_test(test_hosts),     cmocka_unit_test(test_dnsmasq),
		cmocka_unit_test(test_adblock),   cmocka_unit_test(test_clash),
		cmocka_unit_test(test_cidrs),     cmocka_unit_test(test_long),
		cmocka_unit_test(test_sink_ends), cmocka_unit_test(test_entry),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	mf_text_free(&said);
	return failed;
}
