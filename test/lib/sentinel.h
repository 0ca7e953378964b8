/*
 * Tokens for tests. Each begins with a word that occurs nowhere else, so that a search of everything that a run wrote
 * (hack/find-sentinel.py) finds any part of one that leaked.
 */
#pragma once

#define SENTINEL "KISentinelQ7xZ3vT9mW2"
#define SENTINEL_TOKEN SENTINEL "-pLr8Kd5Nf1Hs6Jb4Gc0Yt"
#define SENTINEL_SECRET "KIClientSecretV4nR8" "-uE2oXa7Mi9Bw3"
