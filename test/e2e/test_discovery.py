"""The introspection endpoint, found in a real provider's discovery document."""


def test_the_endpoint_is_found_by_discovery(provider, start):
    login = start(provider)
    assert "/token/introspection" not in login.webhook.folder.config.read_text()
    assert login.verdict(provider.password()) == ("allow", "ok")


def test_an_endpoint_that_is_configured_needs_no_discovery(provider, start):
    login = start(provider, {"introspection": {"endpoint": f"{provider.url}/token/introspection"}})
    assert login.verdict(provider.password()) == ("allow", "ok")


def test_a_discovery_document_of_another_issuer_is_not_believed(provider, start):
    """The same provider by its address: the connection is good, but the document names another issuer."""
    url = provider.url.replace("localhost", "127.0.0.1")
    login = start(provider, {"issuer": {"url": url}}, ready=False)
    assert login.verdict(provider.password()) == ("unavailable", "discovery_failed")
