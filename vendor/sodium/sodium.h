/* The part of libsodium's interface that libzmq 4.3.4 calls, and no more: the build of zmq-sys cannot be told
 * where libsodium-sys-stable keeps the whole header. Functions and sizes are those of libsodium 1.0.x, which are
 * part of its stable interface: https://doc.libsodium.org (crypto_box, crypto_secretbox, random data, memory). */
#ifndef TICKLINE_SODIUM_H
#define TICKLINE_SODIUM_H

#include <stddef.h>

#define crypto_box_PUBLICKEYBYTES 32U
#define crypto_box_SECRETKEYBYTES 32U
#define crypto_box_BEFORENMBYTES 32U
#define crypto_box_NONCEBYTES 24U
#define crypto_box_MACBYTES 16U
#define crypto_box_ZEROBYTES 32U
#define crypto_box_BOXZEROBYTES 16U
#define crypto_secretbox_KEYBYTES 32U
#define crypto_secretbox_NONCEBYTES 24U
#define crypto_secretbox_ZEROBYTES 32U
#define crypto_secretbox_BOXZEROBYTES 16U

#ifdef __cplusplus
extern "C" {
#endif

int sodium_init(void);
void *sodium_allocarray(size_t count, size_t size);
void sodium_free(void *ptr);
void randombytes(unsigned char *buf, unsigned long long len);
int randombytes_close(void);

int crypto_scalarmult_base(unsigned char *q, const unsigned char *n);

int crypto_box_keypair(unsigned char *pk, unsigned char *sk);
int crypto_box(unsigned char *c, const unsigned char *m, unsigned long long mlen, const unsigned char *n,
               const unsigned char *pk, const unsigned char *sk);
int crypto_box_open(unsigned char *m, const unsigned char *c, unsigned long long clen, const unsigned char *n,
                    const unsigned char *pk, const unsigned char *sk);
int crypto_box_beforenm(unsigned char *k, const unsigned char *pk, const unsigned char *sk);
int crypto_box_afternm(unsigned char *c, const unsigned char *m, unsigned long long mlen, const unsigned char *n,
                       const unsigned char *k);
int crypto_box_open_afternm(unsigned char *m, const unsigned char *c, unsigned long long clen,
                            const unsigned char *n, const unsigned char *k);
int crypto_box_easy_afternm(unsigned char *c, const unsigned char *m, unsigned long long mlen,
                            const unsigned char *n, const unsigned char *k);
int crypto_box_open_easy_afternm(unsigned char *m, const unsigned char *c, unsigned long long clen,
                                 const unsigned char *n, const unsigned char *k);

int crypto_secretbox(unsigned char *c, const unsigned char *m, unsigned long long mlen, const unsigned char *n,
                     const unsigned char *k);
int crypto_secretbox_open(unsigned char *m, const unsigned char *c, unsigned long long clen,
                          const unsigned char *n, const unsigned char *k);

#ifdef __cplusplus
}
#endif

#endif
