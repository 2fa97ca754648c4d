/* A stand-in for a device of GM/T 0018: the standard's names and error codes over libgcrypt, for tests alone.
 *
 * SDF_TEST_SECRET (32 hex digits) is the device's master secret: another one is another device.
 * SDF_TEST_FAIL ("FUNCTION=CODE", code in hex) makes a function fail. Keys 1 to 8 exist. The signing key 1 is
 * that of GB/T 32918.5 (by libcrypto), its access code "device code". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct gcry_cipher_handle *gcry_cipher_hd_t;
extern const char *gcry_check_version(const char *);
extern unsigned gcry_cipher_open(gcry_cipher_hd_t *, int, int, unsigned);
extern void gcry_cipher_close(gcry_cipher_hd_t);
extern unsigned gcry_cipher_setkey(gcry_cipher_hd_t, const void *, size_t);
extern unsigned gcry_cipher_encrypt(gcry_cipher_hd_t, void *, size_t, const void *, size_t);
extern unsigned gcry_cipher_decrypt(gcry_cipher_hd_t, void *, size_t, const void *, size_t);
extern int gcry_cipher_map_name(const char *);
extern void gcry_create_nonce(void *, size_t);
#define MODE_ECB 1

typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_pkey_ctx_st EVP_PKEY_CTX;
extern EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **, const unsigned char **, long);
extern void EVP_PKEY_free(EVP_PKEY *);
extern EVP_PKEY_CTX *EVP_PKEY_CTX_new(EVP_PKEY *, void *);
extern void EVP_PKEY_CTX_free(EVP_PKEY_CTX *);
extern int EVP_PKEY_sign_init(EVP_PKEY_CTX *);
extern int EVP_PKEY_sign(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);

typedef struct {
    unsigned char IssuerName[40], DeviceName[16], DeviceSerial[16];
    unsigned int DeviceVersion, StandardVersion, AsymAlgAbility[2], SymAlgAbility, HashAlgAbility, BufferSize;
} DEVICEINFO;
typedef struct { unsigned magic; } DEVICE;
typedef struct { unsigned magic; unsigned char key[16]; } KEY;
#define DEVICE_MAGIC 0xdeadu
#define SESSION_MAGIC 0x5e55u
#define KEY_MAGIC 0x6e79u

static int keys_alive = 0, sessions_alive = 0;
int TEST_alive(void) { return keys_alive + sessions_alive; }

static int failure(const char *name) {
    const char *wish = getenv("SDF_TEST_FAIL");
    size_t length = strlen(name);
    if (wish && !strncmp(wish, name, length) && wish[length] == '=') return (int)strtoul(wish + length + 1, NULL, 16);
    return 0;
}
#define FAILING(name) do { int code = failure(name); if (code) return code; } while (0)

static void block(const unsigned char *key, unsigned char *out, const unsigned char *in, int decrypt) {
    gcry_cipher_hd_t cipher;
    gcry_check_version(NULL);
    gcry_cipher_open(&cipher, gcry_cipher_map_name("SM4"), MODE_ECB, 0);
    gcry_cipher_setkey(cipher, key, 16);
    if (decrypt) gcry_cipher_decrypt(cipher, out, 16, in, 16);
    else gcry_cipher_encrypt(cipher, out, 16, in, 16);
    gcry_cipher_close(cipher);
}

static int kek(unsigned index, unsigned char *out) {
    const char *hex = getenv("SDF_TEST_SECRET");
    if (!hex || strlen(hex) != 32) return 0x01000004;
    if (index < 1 || index > 8) return 0x01000008;
    for (int i = 0; i < 16; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (unsigned char)(byte ^ index);
    }
    return 0;
}

int SDF_OpenDevice(void **device) {
    FAILING("SDF_OpenDevice");
    DEVICE *made = malloc(sizeof *made);
    made->magic = DEVICE_MAGIC;
    *device = made;
    return 0;
}
int SDF_CloseDevice(void *device) { free(device); return 0; }
int SDF_OpenSession(void *device, void **session) {
    FAILING("SDF_OpenSession");
    if (((DEVICE *)device)->magic != DEVICE_MAGIC) return 0x0100001d;
    DEVICE *made = malloc(sizeof *made);
    made->magic = SESSION_MAGIC;
    *session = made;
    sessions_alive++;
    return 0;
}
int SDF_CloseSession(void *session) { free(session); sessions_alive--; return 0; }
int SDF_GetDeviceInfo(void *session, DEVICEINFO *info) {
    FAILING("SDF_GetDeviceInfo");
    memset(info, 0, sizeof *info);
    strcpy((char *)info->IssuerName, "Stand-in of the tests");
    strcpy((char *)info->DeviceName, "SDF-TEST");
    strcpy((char *)info->DeviceSerial, "2026000001");
    info->DeviceVersion = 1;
    info->StandardVersion = 1;
    return session ? 0 : 0x0100001d;
}
int SDF_GenerateRandom(void *session, unsigned length, unsigned char *out) {
    FAILING("SDF_GenerateRandom");
    (void)session;
    gcry_create_nonce(out, length);
    return 0;
}
int SDF_GenerateKeyWithKEK(void *session, unsigned bits, unsigned algorithm, unsigned index, unsigned char *out,
                           unsigned *length, void **handle) {
    unsigned char outer[16];
    FAILING("SDF_GenerateKeyWithKEK");
    if (((DEVICE *)session)->magic != SESSION_MAGIC || bits != 128 || *length < 16) return 0x0100001d;
    if (algorithm != 0x401) return 0x01000009;
    int code = kek(index, outer);
    if (code) return code;
    KEY *key = malloc(sizeof *key);
    key->magic = KEY_MAGIC;
    gcry_create_nonce(key->key, 16);
    block(outer, out, key->key, 0);
    *length = 16;
    if (failure("TEST_TooLong")) *length = 4096;
    *handle = key;
    keys_alive++;
    return 0;
}
int SDF_ImportKeyWithKEK(void *session, unsigned algorithm, unsigned index, unsigned char *wrapped, unsigned length,
                         void **handle) {
    unsigned char outer[16];
    FAILING("SDF_ImportKeyWithKEK");
    if (((DEVICE *)session)->magic != SESSION_MAGIC || length != 16) return 0x0100001d;
    if (algorithm != 0x401) return 0x01000009;
    int code = kek(index, outer);
    if (code) return code;
    KEY *key = malloc(sizeof *key);
    key->magic = KEY_MAGIC;
    block(outer, key->key, wrapped, 1);
    *handle = key;
    keys_alive++;
    return 0;
}
int SDF_DestroyKey(void *session, void *key) {
    (void)session;
    memset(key, 0, sizeof(KEY));
    free(key);
    keys_alive--;
    return 0;
}
static int usable(void *session, void *key, unsigned length) {
    if (((DEVICE *)session)->magic != SESSION_MAGIC || ((KEY *)key)->magic != KEY_MAGIC) return 0x01000015;
    return length == 0 || length % 16 ? 0x0100001d : 0;
}
int SDF_Encrypt(void *session, void *key, unsigned algorithm, unsigned char *iv, unsigned char *data, unsigned length,
                unsigned char *out, unsigned *out_length) {
    FAILING("SDF_Encrypt");
    int code = usable(session, key, length);
    if (code) return code;
    if (algorithm != 0x402) return 0x0100000a;
    for (unsigned at = 0; at < length; at += 16) {
        for (int i = 0; i < 16; i++) iv[i] ^= data[at + i];
        block(((KEY *)key)->key, out + at, iv, 0);
        memcpy(iv, out + at, 16);
    }
    *out_length = length;
    return 0;
}
int SDF_Decrypt(void *session, void *key, unsigned algorithm, unsigned char *iv, unsigned char *data, unsigned length,
                unsigned char *out, unsigned *out_length) {
    FAILING("SDF_Decrypt");
    int code = usable(session, key, length);
    if (code) return code;
    if (algorithm != 0x402) return 0x0100000a;
    for (unsigned at = 0; at < length; at += 16) {
        block(((KEY *)key)->key, out + at, data + at, 1);
        for (int i = 0; i < 16; i++) out[at + i] ^= iv[i];
        memcpy(iv, data + at, 16);
    }
    *out_length = length;
    return 0;
}
int SDF_CalculateMAC(void *session, void *key, unsigned algorithm, unsigned char *iv, unsigned char *data,
                     unsigned length, unsigned char *mac, unsigned *mac_length) {
    FAILING("SDF_CalculateMAC");
    int code = usable(session, key, length);
    if (code) return code;
    if (algorithm != 0x410) return 0x0100000a;
    for (unsigned at = 0; at < length; at += 16) {
        for (int i = 0; i < 16; i++) iv[i] ^= data[at + i];
        block(((KEY *)key)->key, mac, iv, 0);
        memcpy(iv, mac, 16);
    }
    *mac_length = 16;
    return 0;
}

typedef struct { unsigned bits; unsigned char x[64], y[64]; } ECCrefPublicKey;
typedef struct { unsigned char r[64], s[64]; } ECCSignature;
static int may_sign = 0;
static const unsigned char private_key[] = {
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
    0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20,
    0x39, 0x45, 0x20, 0x8f, 0x7b, 0x21, 0x44, 0xb1, 0x3f, 0x36, 0xe3, 0x8a, 0xc6, 0xd3, 0x9f, 0x95,
    0x88, 0x93, 0x93, 0x69, 0x28, 0x60, 0xb5, 0x1a, 0x42, 0xfb, 0x81, 0xef, 0x4d, 0xf7, 0xc5, 0xb8};
static const unsigned char public_key[64] = {
    0x09, 0xf9, 0xdf, 0x31, 0x1e, 0x54, 0x21, 0xa1, 0x50, 0xdd, 0x7d, 0x16, 0x1e, 0x4b, 0xc5, 0xc6,
    0x72, 0x17, 0x9f, 0xad, 0x18, 0x33, 0xfc, 0x07, 0x6b, 0xb0, 0x8f, 0xf3, 0x56, 0xf3, 0x50, 0x20,
    0xcc, 0xea, 0x49, 0x0c, 0xe2, 0x67, 0x75, 0xa5, 0x2d, 0xc6, 0xea, 0x71, 0x8c, 0xc1, 0xaa, 0x60,
    0x0a, 0xed, 0x05, 0xfb, 0xf3, 0x5e, 0x08, 0x4a, 0x66, 0x32, 0xf6, 0x07, 0x2d, 0xa9, 0xad, 0x13};

int SDF_ExportSignPublicKey_ECC(void *session, unsigned index, ECCrefPublicKey *out) {
    FAILING("SDF_ExportSignPublicKey_ECC");
    if (!session || index != 1) return 0x01000008;
    memset(out, 0, sizeof *out);
    out->bits = 256;
    memcpy(out->x + 32, public_key, 32);
    memcpy(out->y + 32, public_key + 32, 32);
    if (failure("TEST_OtherKey")) out->y[63] ^= 1;
    return 0;
}
int SDF_GetPrivateKeyAccessRight(void *session, unsigned index, unsigned char *code, unsigned length) {
    FAILING("SDF_GetPrivateKeyAccessRight");
    if (!session || index != 1) return 0x01000008;
    if (length != 11 || memcmp(code, "device code", 11)) return 0x01000018;
    may_sign = 1;
    return 0;
}
int SDF_ReleasePrivateKeyAccessRight(void *session, unsigned index) {
    (void)session;
    (void)index;
    may_sign = 0;
    return 0;
}
static void number(unsigned char *out, const unsigned char **der) {
    unsigned length = (*der)[1];
    const unsigned char *from = *der + 2;
    *der = from + length;
    while (length > 32) from++, length--;
    memset(out, 0, 64);
    memcpy(out + 64 - length, from, length);
}
int SDF_InternalSign_ECC(void *session, unsigned index, unsigned char *data, unsigned length, ECCSignature *out) {
    FAILING("SDF_InternalSign_ECC");
    if (!session || index != 1) return 0x01000008;
    if (!may_sign) return 0x01000007;
    if (length != 32) return 0x0100001d;
    const unsigned char *at = private_key;
    unsigned char der[128];
    const unsigned char *reading = der + 2;
    size_t room = sizeof der;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, sizeof private_key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    int done = EVP_PKEY_sign_init(context) == 1 && EVP_PKEY_sign(context, der, &room, data, length) == 1;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    if (!done) return 0x0100000d;
    number(out->r, &reading);
    number(out->s, &reading);
    return 0;
}
