"""What the columns of records are called in Chinese, for people who read what was printed or handed out."""

from __future__ import annotations

from typing import Final

CHINESE: Final = {
    "log_source": "来源",
    "log_partition": "来源分区",
    "log_offset": "来源位置",
    "log_length": "记录长度",
    "event_ingested": "入库时间",
    "flags": "解析备注",
    "event_time": "发生时间",
    "event_id": "事件编号",
    "event_action": "操作行为",
    "event_outcome": "结果",
    "user_id": "账号",
    "user_name": "用户名",
    "user_identity_ref": "实名信息引用",
    "user_registration_ip": "注册地址",
    "user_registration_time": "注册时间",
    "source_ip": "源 IP 地址",
    "source_port": "源端口",
    "source_mac": "源 MAC 地址",
    "destination_ip": "目的 IP 地址",
    "destination_port": "目的端口",
    "device_id": "设备标识",
    "device_model_name": "设备型号",
    "session_id": "会话编号",
    "url_original": "访问网址",
    "http_request_method": "请求方法",
    "http_request_referrer": "来源网址",
    "http_response_status_code": "响应状态码",
    "http_response_body_bytes": "响应字节数",
    "http_version": "HTTP 版本",
    "user_agent_original": "客户端标识",
    "host_name": "主机",
    "process_name": "进程",
    "process_pid": "进程号",
    "log_syslog_priority": "日志优先级",
    "message": "日志正文",
    "order_id": "订单号",
    "order_status": "订单状态",
    "counterparty_id": "交易对方",
    "item_id": "商品编号",
    "quantity": "数量",
    "unit_price": "单价",
    "amount": "金额",
    "currency": "币种",
    "transaction_completed_at": "交易完成时间",
    "content_id": "内容编号",
    "content_type": "内容类型",
    "text": "正文",
    "extra": "其他字段",
    "error_code": "错误代码",
    "error_message": "错误说明",
    "raw": "原始字节",
}
"""Every column of the record schema; the console has the same names to translate."""


def column_name(name: str) -> str:
    """A column for people: its Chinese name, and beside it the name that CSV files and queries have."""
    return f"{CHINESE[name]} {name}" if name in CHINESE else name
