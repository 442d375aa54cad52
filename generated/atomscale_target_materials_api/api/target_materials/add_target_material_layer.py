from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.layer import Layer
from ...models.layer_create import LayerCreate
from ...types import Response


def _get_kwargs(
    *,
    body: LayerCreate,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/target-materials/layers/",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | Layer | None:
    if response.status_code == 200:
        response_200 = Layer.from_dict(response.json())

        return response_200

    if response.status_code == 201:
        response_201 = Layer.from_dict(response.json())

        return response_201

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Error.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = Error.from_dict(response.json())

        return response_404

    if response.status_code == 409:
        response_409 = Error.from_dict(response.json())

        return response_409

    if response.status_code == 422:
        response_422 = Error.from_dict(response.json())

        return response_422

    if response.status_code == 429:
        response_429 = Error.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Error.from_dict(response.json())

        return response_500

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Error | Layer]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: LayerCreate,
) -> Response[Error | Layer]:
    """Add a layer

     Adds one layer to a target material's stack. The server may fill in `element_dict`,
    `space_group` and `mp_id` from the composition. (A2)

    Args:
        body (LayerCreate): A layer to add. Only its position is required. (A2)

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | Layer]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: LayerCreate,
) -> Error | Layer | None:
    """Add a layer

     Adds one layer to a target material's stack. The server may fill in `element_dict`,
    `space_group` and `mp_id` from the composition. (A2)

    Args:
        body (LayerCreate): A layer to add. Only its position is required. (A2)

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | Layer
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: LayerCreate,
) -> Response[Error | Layer]:
    """Add a layer

     Adds one layer to a target material's stack. The server may fill in `element_dict`,
    `space_group` and `mp_id` from the composition. (A2)

    Args:
        body (LayerCreate): A layer to add. Only its position is required. (A2)

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | Layer]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: LayerCreate,
) -> Error | Layer | None:
    """Add a layer

     Adds one layer to a target material's stack. The server may fill in `element_dict`,
    `space_group` and `mp_id` from the composition. (A2)

    Args:
        body (LayerCreate): A layer to add. Only its position is required. (A2)

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | Layer
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
