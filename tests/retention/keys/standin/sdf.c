/* A stand-in for a device of GM/T 0018: the standard's names and error codes over libgcrypt, for tests alone.
 *
 * SDF_TEST_SECRET (32 hex digits) is the device's master secret: another one is another device.
 * SDF_TEST_FAIL ("FUNCTION=CODE", code in hex) makes a function fail. Keys 1 to 8 exist. */
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
