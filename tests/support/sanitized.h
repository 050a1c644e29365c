// Defines PT_SANITIZED in a build with an address or thread sanitizer, of GCC or clang: these bring
// allocators and memory of their own, end a program that asks for too much, and take their time.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PT_SANITIZED 1
#endif
#endif
