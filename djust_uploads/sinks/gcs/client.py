"""The client of Google's SDK: its credentials, its connections and its signatures."""

from __future__ import annotations

import datetime
import threading
from typing import Any

from ...exceptions import SinkMisconfigured
from .sdk import auth, requests, service_account, storage


class Client:
    """Creates the SDK's client when it is first used. All threads share the client."""

    def __init__(
        self, project: str | None, credentials: Any, api_endpoint: str | None, threads: int
    ) -> None:
        self._project = project
        self._credentials = credentials
        self._api_endpoint = api_endpoint
        self._threads = threads
        self._lock = threading.Lock()
        self._client: Any = None

    def get(self) -> Any:
        """Return the SDK's client.

        The first call blocks: it reads files or asks the environment for credentials.

        Raises :class:`SinkMisconfigured` if there are no credentials.
        """
        with self._lock:
            if self._client is None:
                try:
                    self._client = self._made()
                except (auth.DefaultCredentialsError, OSError, ValueError) as exc:
                    raise SinkMisconfigured(f"{exc}. Check credentials.") from exc
            return self._client

    def _made(self) -> Any:
        credentials = self._credentials
        if isinstance(credentials, str):
            credentials = service_account.Credentials.from_service_account_file(credentials)
        options = {"api_endpoint": self._api_endpoint} if self._api_endpoint else None
        # Given ``None`` for the project, the SDK does not look for a project. Uploads need none.
        client = storage.Client(self._project, credentials, client_options=options)
        http = client._http
        if not getattr(http, "is_mtls", False):
            adapter = requests.adapters.HTTPAdapter(pool_maxsize=self._threads + 8)
            http.mount("https://", adapter)
            http.mount("http://", adapter)
        return client

    def connect(self) -> tuple[requests.Session, str]:
        """Return the session that signs requests and sends them, and the base URL."""
        client = self.get()
        return client._http, client._connection.get_api_base_url_for_mtls()

    def base_url(self) -> str:
        """Return the base URL of the store."""
        base: str = self.get()._connection.get_api_base_url_for_mtls()
        return base

    def signed_url(self, bucket: str, key: str, expires: int) -> str:
        """Return a URL of an object that is valid for ``expires`` seconds.

        Raises :class:`SinkMisconfigured` if the credentials cannot sign.
        """
        client = self.get()
        try:
            url: str = (
                client.bucket(bucket)
                .blob(key)
                .generate_signed_url(
                    version="v4",
                    expiration=datetime.timedelta(seconds=expires),
                    api_access_endpoint=self.base_url(),
                )
            )
        except AttributeError as exc:
            raise SinkMisconfigured(
                "These credentials can't sign URLs. Check credentials: a service account's key can "
                "sign. Or set custom_domain, or set predefined_acl to 'publicRead'."
            ) from exc
        return url

    def close(self) -> None:
        """Close the connections. The next call creates a new client."""
        with self._lock:
            client, self._client = self._client, None
            if client:
                client._http.close()
