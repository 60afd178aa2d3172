"""Words of the Settings page."""

TEXTS = {
    "settings.title": ("Settings", "设置"),
    "settings.person": ("You", "您"),
    "settings.name": ("Your name", "您的姓名"),
    "settings.name_info": (
        "Stands beside everything you write. Kept in this browser.",
        "显示在您撰写的所有内容旁。保存在此浏览器中。",
    ),
    "settings.name_login": ("You are signed in as {name}.", "您已登录为 {name}。"),
    "settings.theme": ("Theme", "主题"),
    "settings.theme.system": ("Like the system", "跟随系统"),
    "settings.theme.light": ("Light", "浅色"),
    "settings.theme.dark": ("Dark", "深色"),
    "settings.models": ("Models", "模型"),
    "settings.model": ("Base model", "基础模型"),
    "settings.model_info": (
        "A checkpoint's folder on this machine. It draws heatmaps and answers questions.",
        "本机上的模型文件夹，用于生成热力图和回答问题。",
    ),
    "settings.model_shipped": ("{name} (ships with the studio)", "{name}（随软件提供）"),
    "settings.threshold": ("Call a picture defective from P(defect) on", "P(缺陷) 不低于此值时判为缺陷"),
    "settings.endpoint": ("Vision model for descriptions", "用于生成描述的视觉模型"),
    "settings.url": ("Address (OpenAI-compatible)", "地址（兼容 OpenAI）"),
    "settings.url_hint": ("https://api.openai.com/v1", "https://api.openai.com/v1"),
    "settings.endpoint_model": ("Model", "模型"),
    "settings.key": ("Key", "密钥"),
    "settings.key_none": (
        "No key is kept. The offline describer works without one.",
        "未保存密钥。离线描述生成器无需密钥。",
    ),
    "settings.key_environment": (
        "A key is set in the environment (OPENAI_API_KEY); it is used as long as it is there.",
        "环境变量 OPENAI_API_KEY 中已设置密钥，并优先使用。",
    ),
    "settings.key_file": (
        "A key is kept in a file that only its owner can read. It is never shown again.",
        "密钥保存在仅所有者可读的文件中，不会再次显示。",
    ),
    "settings.key_hint": ("leave empty to keep the present one", "留空则保留现有密钥"),
    "settings.forget": ("Forget the key", "删除密钥"),
    "settings.saved": ("Saved.", "已保存。"),
    "settings.no_model": (
        "{path} is not a folder on this machine: check the path.",
        "{path} 不是本机上的文件夹：请检查路径。",
    ),
    "settings.bad_threshold": ("The threshold must lie between 0 and 1.", "阈值必须在 0 和 1 之间。"),
    "settings.key_moved": (
        "Saved. The key was kept for the former address and is forgotten: enter the new address's key.",
        "已保存。原密钥属于之前的地址，已被删除：请输入新地址的密钥。",
    ),
    "settings.key_elsewhere": (
        "The key comes from this server's environment, so its address is set there too (OPENAI_BASE_URL).",
        "密钥来自服务器的环境变量，因此地址也须在环境变量中设置（OPENAI_BASE_URL）。",
    ),
    "settings.bad_url": ("The address must start with http:// or https://.", "地址必须以 http:// 或 https:// 开头。"),
    "settings.about": ("About", "关于"),
    "settings.about_text": (
        "EMIT Studio teaches a multimodal model to inspect your product. It follows the method EMIT (arXiv 2507.21619) and "
        "reads benchmarks in the layout of MMAD (arXiv 2410.09453). The studio is under Apache-2.0; the demo's pictures "
        "are drawn by the studio itself.",
        "EMIT Studio 教会多模态模型检验您的产品。方法遵循 EMIT（arXiv 2507.21619），并读取 MMAD（arXiv 2410.09453）"
        "格式的数据集。本软件采用 Apache-2.0 许可；演示图片由软件自行绘制。",
    ),
    "settings.package": ("Package", "软件包"),
    "settings.version": ("Version", "版本"),
    "settings.licence": ("Licence", "许可证"),
    "settings.benchmarks": ("Opened benchmarks", "已打开的数据集"),
    "settings.benchmarks_note": (
        "Off the list, a benchmark keeps its files and everything people wrote about it; opening it again brings them back.",
        "从列表移除后，数据集的文件和所有撰写内容都会保留；重新打开即可恢复。",
    ),
    "settings.forget_bench": ("Take off the list", "从列表移除"),
}
