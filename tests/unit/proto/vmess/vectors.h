/* SPDX-License-Identifier: Apache-2.0
 *
 * vectors - known answers of VMess: made by an independent client that v2ray 4.34 and (option 16)
 * sing-vmess have understood; the first KDF is that of v2ray-core's own tests. Padding bytes of
 * chunks are 0xaa.
 */
#ifndef MF_TEST_VMESS_VECTORS_H
#define MF_TEST_VMESS_VECTORS_H

#include "unit.h"

#include "base/base.h"

/* Returns the number of bytes. */
static inline size_t from_hex(uint8_t *out, size_t cap, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= cap);
	for (size_t i = 0; i < n; i++) {
		unsigned v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

static inline void assert_hex(const uint8_t *got, size_t n, const char *hex)
{
	uint8_t want[512];

	assert_int_equal(from_hex(want, sizeof(want), hex), n);
	assert_memory_equal(got, want, n);
}

#define VECTOR_UUID              "b831381d-6324-4d53-ad4f-8cda48b30811"
#define VECTOR_CMD_KEY           "b50d916ac0cec067981af8e5f38a758f"
#define VECTOR_AUTH_ID_KEY       "1415ba74ca8b3d041a8f583fb4116315"
#define VECTOR_AUTH_ID           "afabbebf298c2611f08228d760111288"
#define VECTOR_WALL              1700000000
#define VECTOR_AUTH              "a1b2c3d4"
#define VECTOR_NONCE             "7071727374757677"
#define VECTOR_KEY               "404142434445464748494a4b4c4d4e4f"
#define VECTOR_IV                "101112131415161718191a1b1c1d1e1f"
#define VECTOR_VERIFY            0x5a
#define VECTOR_ANSWER_KEY        "ba22b7dc95f6cc8765757be4bccf37cd"
#define VECTOR_ANSWER_IV         "fc2e2c73072bfa2bda03ff9307472deb"
#define VECTOR_ANSWER            "372fb1383fedbe5045baf4f13fe9c921e8b313e30d6940d99b357dacf71ea6b1e8d04a19c630"
#define VECTOR_CHACHA_KEY        "0d712dea46b6358a634362733f55458700926b1d38a940536af26798cb9511af"
#define VECTOR_LENGTH_KEY        "f1f11feec17002903e2c26cad4f2d9eb"
#define VECTOR_LENGTH_KEY_CHACHA "cbe0d08c624fd7d8b4e44dcd28107d02e7500a0b68179bb5fffa97a1315bfb9f"

static const struct {
	const char *target, *padding, *sealed;
	uint8_t option, cipher, command;
} vector_requests[] = {
	{ "01bb01c0000201", "",
	  "afabbebf298c2611f08228d7601112882498f374d2a66aeb2d8e4741b5a645fae3ac70717273"
	  "747576775720b55baea56f1c2d7f8ed0cb9f04227d942fa21fb1b69d596f6503fe9f54bee800"
	  "59b65974819a7a6662782793b51b0be8046db7348d10e8503dcb15f4239d3c",
	  13, 3, 1 },
	{ "0050020b6578616d706c652e636f6d", "e0e1e2e3e4",
	  "afabbebf298c2611f08228d7601112882497f7aa4aa7ae9744b643207383f732a80870717273"
	  "747576775720b55baea56f1c2d7f8ed0cb9f04227d942fa21fb1b69d596f6503fe9f54bee800"
	  "51e15974807179ad0702478f2f169722cdea38a3de5706a626f4109ca6ad1490f08310ac4d74"
	  "7ab7349fc3a2",
	  5, 4, 1 },
	{ "00350320010db8000000000000000000000001", "d0d1d2d3d4d5d6d7d8d9dadbdcddde",
	  "afabbebf298c2611f08228d76011128824e568359aa8f523bca66790c697420087ef70717273"
	  "747576775720b55baea56f1c2d7f8ed0cb9f04227d942fa21fb1b69d596f6503fe9f54bee800"
	  "594659778014788663779ee25f7af20cae8555433fb5e49205ac7d0c93c42d04f75b23939e23"
	  "e04b83668bd8e1e968a072f1ae6a7543c3b74a33",
	  13, 3, 2 },
	{ "", "",
	  "afabbebf298c2611f08228d7601112882483477c6aa55e3827164c5d7bf1b1d24d8770717273"
	  "747576775720b55baea56f1c2d7f8ed0cb9f04227d942fa21fb1b69d596f6503fe9f54bee800"
	  "59b65976a96772710f9492923cfba2cf71c531c7d79e618a",
	  13, 3, 3 },
};

/* "hello", "world!!", and the end. */
static const struct {
	uint8_t cipher, option;
	const char *up[3], *down[3];
} vector_bodies[] = {
	{ 3,
	  1,
	  { "00152cd114240db760a349b7e570c9240c86a0d912fb61",
	    "0017f068a969cb7091ffb64255500268d514fd3f230bd726f4",
	    "00109aa47fd71669bd48bd84e9eb0e41cb75" },
	  { "0015b2a7be8f501833585703221467b6bfade57ac03b21",
	    "001790c536eca2e6555ed5ec81c872f05ef451f1aaccbb9be3",
	    "001040695b5a295717e7b9284fa5085b4c2b" } },
	{ 3,
	  5,
	  { "fc842cd114240db760a349b7e570c9240c86a0d912fb61",
	    "8e54f068a969cb7091ffb64255500268d514fd3f230bd726f4",
	    "ecd49aa47fd71669bd48bd84e9eb0e41cb75" },
	  { "6089b2a7be8f501833585703221467b6bfade57ac03b21",
	    "c21090c536eca2e6555ed5ec81c872f05ef451f1aaccbb9be3",
	    "0b2b40695b5a295717e7b9284fa5085b4c2b" } },
	{ 3,
	  13,
	  { "8e652cd114240db760a349b7e570c9240c86a0d912fb61aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaa",
	    "b6b5f068a969cb7091ffb64255500268d514fd3f230bd726f4aaaaaaaa",
	    "a3f89aa47fd71669bd48bd84e9eb0e41cb75aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	  { "c236b2a7be8f501833585703221467b6bfade57ac03b21aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "deb390c536eca2e6555ed5ec81c872f05ef451f1aaccbb9be3aaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaa",
	    "7fed40695b5a295717e7b9284fa5085b4c2baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaa" } },
	{ 3,
	  17,
	  { "7ab1edf01e563dd034d0569c900a9c992efc2cd114240db760a349b7e570c9240c86a0d912fb"
	    "61",
	    "c97092e80bd9454e2ba260becc61e0aca1b1f068a969cb7091ffb64255500268d514fd3f230b"
	    "d726f4",
	    "d59423feca45822c98f520588ce44e4de2119aa47fd71669bd48bd84e9eb0e41cb75" },
	  { "7ab1edf01e563dd034d0569c900a9c992efcb2a7be8f501833585703221467b6bfade57ac03b"
	    "21",
	    "c97092e80bd9454e2ba260becc61e0aca1b190c536eca2e6555ed5ec81c872f05ef451f1aacc"
	    "bb9be3",
	    "d59423feca45822c98f520588ce44e4de21140695b5a295717e7b9284fa5085b4c2b" } },
	{ 3,
	  21,
	  { "7ab1edf01e563dd034d0569c900a9c992efc2cd114240db760a349b7e570c9240c86a0d912fb"
	    "61",
	    "c97092e80bd9454e2ba260becc61e0aca1b1f068a969cb7091ffb64255500268d514fd3f230b"
	    "d726f4",
	    "d59423feca45822c98f520588ce44e4de2119aa47fd71669bd48bd84e9eb0e41cb75" },
	  { "7ab1edf01e563dd034d0569c900a9c992efcb2a7be8f501833585703221467b6bfade57ac03b"
	    "21",
	    "c97092e80bd9454e2ba260becc61e0aca1b190c536eca2e6555ed5ec81c872f05ef451f1aacc"
	    "bb9be3",
	    "d59423feca45822c98f520588ce44e4de21140695b5a295717e7b9284fa5085b4c2b" } },
	{ 3,
	  29,
	  { "7aa239d7c7f4d506fbb4f15c0be38256c2b32cd114240db760a349b7e570c9240c86a0d912fb"
	    "61aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "c97decf29684cc26176acfcb470a72fbc9c9f068a969cb7091ffb64255500268d514fd3f230b"
	    "d726f4aaaaaa",
	    "d59075f6b401f14212c876068ab1e67bb6d69aa47fd71669bd48bd84e9eb0e41cb75aaaaaaaa" },
	  { "7a954dbb9231d5caef07b232a4f2751ddc00b2a7be8f501833585703221467b6bfade57ac03b"
	    "21aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "c979bafae8c0bf489d579995415fdacd9d0e90c536eca2e6555ed5ec81c872f05ef451f1aacc"
	    "bb9be3aaaaaaaaaaaaaa",
	    "d5afad8a1d4c1753120199d4290b415c01eb40695b5a295717e7b9284fa5085b4c2baaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } },
	{ 4,
	  1,
	  { "001564e0e37771c95d9a571daab04795f12e918bc6931e",
	    "0017d9005ee6a1c174ddff53f3105b28762221d94924535b7a",
	    "001012291cb4444acf0ed4fb73f2b0aefa22" },
	  { "00158e330f6d6fccf48409470d249914d557b112d4753e",
	    "00178d7fc0f31195060e85e1bb20b517e7a14c1dc0333f3b80",
	    "001022ab6925f8ccb59df787355bcb0e9952" } },
	{ 4,
	  5,
	  { "fc8464e0e37771c95d9a571daab04795f12e918bc6931e",
	    "8e54d9005ee6a1c174ddff53f3105b28762221d94924535b7a",
	    "ecd412291cb4444acf0ed4fb73f2b0aefa22" },
	  { "60898e330f6d6fccf48409470d249914d557b112d4753e",
	    "c2108d7fc0f31195060e85e1bb20b517e7a14c1dc0333f3b80",
	    "0b2b22ab6925f8ccb59df787355bcb0e9952" } },
	{ 4,
	  13,
	  { "8e6564e0e37771c95d9a571daab04795f12e918bc6931eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaa",
	    "b6b5d9005ee6a1c174ddff53f3105b28762221d94924535b7aaaaaaaaa",
	    "a3f812291cb4444acf0ed4fb73f2b0aefa22aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	  { "c2368e330f6d6fccf48409470d249914d557b112d4753eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "deb38d7fc0f31195060e85e1bb20b517e7a14c1dc0333f3b80aaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaa",
	    "7fed22ab6925f8ccb59df787355bcb0e9952aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaa" } },
	{ 4,
	  17,
	  { "5f45a4aefb944ee28f28c18058b6821583a764e0e37771c95d9a571daab04795f12e918bc693"
	    "1e",
	    "b5b201b47713490cc5bb85e0870695486a7dd9005ee6a1c174ddff53f3105b28762221d94924"
	    "535b7a",
	    "94b828c046f6fb8375905e3a966cfc7b074b12291cb4444acf0ed4fb73f2b0aefa22" },
	  { "5f45a4aefb944ee28f28c18058b6821583a78e330f6d6fccf48409470d249914d557b112d475"
	    "3e",
	    "b5b201b47713490cc5bb85e0870695486a7d8d7fc0f31195060e85e1bb20b517e7a14c1dc033"
	    "3f3b80",
	    "94b828c046f6fb8375905e3a966cfc7b074b22ab6925f8ccb59df787355bcb0e9952" } },
	{ 4,
	  21,
	  { "5f45a4aefb944ee28f28c18058b6821583a764e0e37771c95d9a571daab04795f12e918bc693"
	    "1e",
	    "b5b201b47713490cc5bb85e0870695486a7dd9005ee6a1c174ddff53f3105b28762221d94924"
	    "535b7a",
	    "94b828c046f6fb8375905e3a966cfc7b074b12291cb4444acf0ed4fb73f2b0aefa22" },
	  { "5f45a4aefb944ee28f28c18058b6821583a78e330f6d6fccf48409470d249914d557b112d475"
	    "3e",
	    "b5b201b47713490cc5bb85e0870695486a7d8d7fc0f31195060e85e1bb20b517e7a14c1dc033"
	    "3f3b80",
	    "94b828c046f6fb8375905e3a966cfc7b074b22ab6925f8ccb59df787355bcb0e9952" } },
	{ 4,
	  29,
	  { "5f5618201d26bd1f03cc0d3cef4b9113700b64e0e37771c95d9a571daab04795f12e918bc693"
	    "1eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "b5bf7984df09e71f13ee1a8ef9a77690a4a2d9005ee6a1c174ddff53f3105b28762221d94924"
	    "535b7aaaaaaa",
	    "94bc23b595188136c0bd35364354c77d84c112291cb4444acf0ed4fb73f2b0aefa22aaaaaaaa" },
	  { "5f61614bba388c56f3623fb5413413d672a68e330f6d6fccf48409470d249914d557b112d475"
	    "3eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "b5bb08580ebea268e7ca3bf6fd891dc908218d7fc0f31195060e85e1bb20b517e7a14c1dc033"
	    "3f3b80aaaaaaaaaaaaaa",
	    "94830192b0ef97c657787b31e2ee3b240fa922ab6925f8ccb59df787355bcb0e9952aaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } },
	{ 5,
	  1,
	  { "000568656c6c6f", "0007776f726c642121", "0000" },
	  { "000568656c6c6f", "0007776f726c642121", "0000" } },
	{ 5,
	  5,
	  { "fc9468656c6c6f", "8e44776f726c642121", "ecc4" },
	  { "609968656c6c6f", "c200776f726c642121", "0b3b" } },
};

#endif
